import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { foldArgmax } from '@glyphmill/inference/graph-argmax';
import { optimizeGraph } from '@glyphmill/inference/graph-optimize';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { infer, openSession } from '@glyphmill/inference/session';
import { plainFiles } from '../integration/graph-plain.ts';
import { openMessage } from '../unit/graph-setup.ts';
import type { Measurement, ModelBenchContext } from './bench-measurement.ts';
import { times } from './figure-text.ts';
import { median, medianRatio } from './statistics.ts';
import { type OpenLoad, takeTurns } from './take-turns.ts';

const softmax = 'softmax_11.tmp_0';
const map = 'sigmoid_0.tmp_0';

/** A graph to time, with the outputs that it gives. */
interface Candidate {
  name: string;
  model: Uint8Array;
  output: string;
  indices?: string;
}

interface Comparison {
  model: 'recognition' | 'detection';
  dims: readonly number[];
  /** The first is what the others are held against. */
  candidates: readonly Candidate[];
  /** What the last is to reach. */
  target: number;
}

interface Times {
  cpuMs: number;
  clockMs: number;
}

/**
 * What the graph work at import gains: the default models as their package has them against the same after each step, on
 * one thread, in one process.
 */
export async function measureGraph({ quick, folder, note }: ModelBenchContext): Promise<Measurement> {
  const rounds = quick ? 3 : 15;
  const { comparisons, changes, workMs } = await comparisonsOf();
  const found = [];
  for (const comparison of comparisons) {
    found.push(await compare(comparison, { folder, rounds }));
    note(`${comparison.model} [${comparison.dims}] done`);
  }
  return {
    figures: {
      setting: { threads: 1, rounds },
      workMs,
      changes,
      comparisons: found.map(({ figures }) => figures),
    },
    rows: found.map(({ row }) => row),
  };
}

async function comparisonsOf() {
  const recognizer = await readFile(plainFiles['ppocrv4-rec']);
  const detector = await readFile(plainFiles['ppocrv4-det']);
  const start = performance.now();
  const rewritten = optimizeGraph(recognizer);
  const folded = foldArgmax(rewritten.model, { output: softmax });
  const rewrittenDetector = optimizeGraph(detector);
  const workMs = performance.now() - start;
  const recognizers: Candidate[] = [
    { name: 'as published', model: recognizer, output: softmax },
    { name: 'rewritten', model: rewritten.model, output: softmax },
    { name: 'as imported', model: folded.model, output: 'scores', indices: 'indices' },
  ];
  const detectors: Candidate[] = [
    { name: 'as published', model: detector, output: map },
    { name: 'as imported', model: rewrittenDetector.model, output: map },
  ];
  const comparisons: Comparison[] = [
    ...[1, 8].map(
      (batch) =>
        ({ model: 'recognition', dims: [batch, 3, 48, 320], candidates: recognizers, target: 1.4 }) as const,
    ),
    { model: 'detection', dims: [1, 3, 736, 544], candidates: detectors, target: 1.3 },
  ];
  const changes = { recognition: rewritten.changes, detection: rewrittenDetector.changes };
  return { comparisons, changes, workMs };
}

async function compare(
  { model, dims, candidates, target }: Comparison,
  { folder, rounds }: { folder: string; rounds: number },
) {
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 12.9898));
  const found = await takeTurns(
    candidates.map((candidate) => () => open(candidate, { folder, data, dims })),
    { rounds },
  );
  const series = found.map((rounds) => ({
    cpuMs: rounds.map(({ cpuMs }) => cpuMs),
    clockMs: rounds.map(({ clockMs }) => clockMs),
  }));
  const graphs = series.map(({ cpuMs, clockMs }, i) => ({
    name: candidates[i]?.name,
    cpuMs: median(cpuMs),
    clockMs: median(clockMs),
    gainByCpu: medianRatio(series[0]?.cpuMs ?? [], cpuMs),
    gainByClock: medianRatio(series[0]?.clockMs ?? [], clockMs),
  }));
  const { gainByCpu = Number.NaN, gainByClock = Number.NaN } = graphs.at(-1) ?? {};
  const [batch, , height, width] = dims;
  return {
    figures: { model, dims, graphs },
    row: {
      what: `${model} model as imported ÷ as published, ${batch} × ${width} × ${height} px, 1 thread`,
      figure: `${times(gainByClock)} as fast; ${times(gainByCpu)} by CPU time`,
      target: { text: `≥ ${target} ×`, met: gainByClock >= target },
    },
  };
}

async function open(
  { name, model, output, indices }: Candidate,
  { folder, data, dims }: { folder: string; data: Float32Array; dims: readonly number[] },
): Promise<OpenLoad<Times>> {
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
  await infer(session, config, data, dims);
  return {
    async run() {
      const cpu = process.cpuUsage();
      const clock = performance.now();
      await infer(session, config, data, dims);
      const spent = process.cpuUsage(cpu);
      return { cpuMs: (spent.user + spent.system) / 1000, clockMs: performance.now() - clock };
    },
    close: () => session.release(),
  };
}
