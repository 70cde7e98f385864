/**
 * What the graph work at import gains: the default models as their package has them against the same after each step,
 * on one thread. All take turns in one process, so that other work on the machine slows each alike: times are medians,
 * ratios the median of the rounds' own, by CPU time of the process and by the clock.
 *
 *   node --import tsx test/bench/graph.ts [rounds=15]
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foldArgmax } from '@glyphmill/inference/graph-argmax';
import { optimizeGraph } from '@glyphmill/inference/graph-optimize';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { infer, openSession } from '@glyphmill/inference/session';
import { plainFiles } from '../integration/graph-plain.ts';
import { openMessage } from '../unit/graph-setup.ts';

const softmax = 'softmax_11.tmp_0';
const map = 'sigmoid_0.tmp_0';

/** A graph to time, with the outputs that it gives. */
interface Candidate {
  name: string;
  model: Uint8Array;
  output: string;
  indices?: string;
}

interface Times {
  cpuMs: number[];
  clockMs: number[];
}

const rounds = Number(process.argv[2] ?? 15);
const folder = await mkdtemp(join(tmpdir(), 'glyphmill-bench-'));
const recognizer = await readFile(plainFiles['ppocrv4-rec']);
const detector = await readFile(plainFiles['ppocrv4-det']);
const start = performance.now();
const rewritten = optimizeGraph(recognizer);
const folded = foldArgmax(rewritten.model, { output: softmax });
const rewrittenDetector = optimizeGraph(detector);
console.log(`graph work of both models: ${(performance.now() - start).toFixed(0)} ms`);
for (const [name, { changes }] of [
  ['recognition', rewritten],
  ['detection', rewrittenDetector],
] as const)
  console.log(`${name}: ${changes.map(({ rule, count }) => `${rule} ${count}`).join(', ')}`);
console.log(
  '\n| model | batch | size | graph | CPU ms | ratio | clock ms | ratio |\n|---|---|---|---|---|---|---|---|',
);
const recognizers: Candidate[] = [
  { name: 'as published', model: recognizer, output: softmax },
  { name: 'rewritten', model: rewritten.model, output: softmax },
  { name: 'and best classes', model: folded.model, output: 'scores', indices: 'indices' },
];
for (const batch of [1, 8]) await compare('recognition', recognizers, [batch, 3, 48, 320]);
await compare(
  'detection',
  [
    { name: 'as published', model: detector, output: map },
    { name: 'rewritten', model: rewrittenDetector.model, output: map },
  ],
  [1, 3, 736, 544],
);
await rm(folder, { recursive: true });

async function compare(title: string, candidates: readonly Candidate[], dims: number[]): Promise<void> {
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 12.9898));
  const runs = [];
  for (const candidate of candidates) {
    const run = await open(candidate);
    await run(data, dims);
    const times: Times = { cpuMs: [], clockMs: [] };
    runs.push({ run, name: candidate.name, times });
  }
  for (let round = 0; round < rounds; round++)
    for (const { run, times } of runs) await timed(times, () => run(data, dims));
  const [, , height, width] = dims;
  const first = runs[0]?.times ?? { cpuMs: [], clockMs: [] };
  for (const { name, times } of runs) {
    const cells = [
      [times.cpuMs, first.cpuMs],
      [times.clockMs, first.clockMs],
    ].map(([values = [], published = []]) => {
      const ratios = values.map((ms, i) => (published[i] ?? Number.NaN) / ms);
      return `${median(values).toFixed(1)} | ${median(ratios).toFixed(2)} ×`;
    });
    console.log(`| ${title} | ${dims[0]} | ${width} × ${height} | ${name} | ${cells.join(' | ')} |`);
  }
}

async function open({ name, model, output, indices }: Candidate) {
  const modelPath = join(folder, `${name}.onnx`);
  await writeFile(modelPath, model);
  const role = output === map ? 'detect' : 'recognize';
  const config = parseModelConfig(
    `name: "bench" max_batch_size: 8
    input { name: "x" data_type: TYPE_FP32 dims: [3, ${role === 'detect' ? -1 : 48}, -1] }
    output { name: "${output}" data_type: TYPE_FP32 dims: [-1] ${role === 'detect' ? '' : 'label_filename: "keys"'} }
    ${indices === undefined ? '' : `output { name: "${indices}" data_type: TYPE_INT32 dims: [-1] }`}
    parameters { key: "role" value { string_value: "${role}" } }
    ${indices === undefined ? '' : 'parameters { key: "classes" value { string_value: "6625" } }'}`,
    'config.pbtxt',
  );
  const { session } = await openSession(openMessage(modelPath), config);
  return (data: Float32Array, dims: number[]) => infer(session, config, data, dims);
}

async function timed(
  times: { cpuMs: number[]; clockMs: number[] },
  run: () => Promise<unknown>,
): Promise<void> {
  const cpu = process.cpuUsage();
  const clock = performance.now();
  await run();
  const spent = process.cpuUsage(cpu);
  times.cpuMs.push((spent.user + spent.system) / 1000);
  times.clockMs.push(performance.now() - clock);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
