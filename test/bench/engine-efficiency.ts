/**
 * How much of the bare runtime's speed is left after queueing, pipes, tensor packing and CTC: lines per second
 * through openModels with 2 instances × 1 thread, over 2 processes that do nothing but session.run on ready tensors
 * of the same shape. Both take turns; medians. CPU time per line is given too (Linux): it holds on a machine that does
 * other work meanwhile, the speeds do not.
 *
 *   node --import tsx test/bench/engine-efficiency.ts [rounds=5] [seconds=8] [width=320] [batch=8]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { openModels } from '@glyphmill/inference/models';
import { readText } from '@glyphmill/inference/repository';
import { infer, openSession } from '@glyphmill/inference/session';

const instances = 2;
const height = 48;

const [first = '', ...rest] = process.argv.slice(2);
if (first === 'bare') await bare(rest);
else await compare([first, ...rest].map(Number));

async function compare([rounds = 5, seconds = 8, width = 320, batch = 8]: number[]): Promise<void> {
  const repository = await mkdtemp(join(tmpdir(), 'glyphmill-bench-'));
  await importDefaultModels(repository);
  const ours: Figures[] = [];
  const theirs: Figures[] = [];
  for (let round = 0; round < (rounds || 5); round++) {
    const bareFigures = await runBare(repository, { seconds, width, batch });
    const ourFigures = await runOurs(repository, { seconds, width, batch });
    theirs.push(bareFigures);
    ours.push(ourFigures);
    console.log(`round ${round + 1}: bare ${describe(bareFigures)}; ours ${describe(ourFigures)}`);
  }
  const medians = (figures: Figures[]) => ({
    linesPerSecond: median(figures.map(({ linesPerSecond }) => linesPerSecond)),
    cpuMsPerLine: median(figures.map(({ cpuMsPerLine }) => cpuMsPerLine)),
  });
  const [bareMedian, ourMedian] = [medians(theirs), medians(ours)];
  const speed = median(
    ours.map(({ linesPerSecond }, i) => linesPerSecond / (theirs[i]?.linesPerSecond ?? Number.NaN)),
  );
  const cpu = median(
    ours.map(({ cpuMsPerLine }, i) => (theirs[i]?.cpuMsPerLine ?? Number.NaN) / cpuMsPerLine),
  );
  console.log(
    `median: bare ${describe(bareMedian)}; ours ${describe(ourMedian)} (width ${width}, batch ${batch})`,
  );
  console.log(`efficiency: ${percent(speed)} by speed, ${percent(cpu)} by CPU time`);
  await rm(repository, { recursive: true });
}

interface Figures {
  linesPerSecond: number;
  cpuMsPerLine: number;
}

interface Load {
  seconds: number;
  width: number;
  batch: number;
}

async function runOurs(repository: string, { seconds, width, batch }: Load): Promise<Figures> {
  const log = { info() {}, warn: console.error, error: console.error };
  const sizes: number[] = [];
  const models = await openModels({
    repository,
    provider: 'cpu',
    instances: { recognize: instances },
    threads: 1,
    onBatch: ({ size }) => sizes.push(size),
    log,
  });
  const line = { width, height, data: new Uint8Array(width * height * 3).fill(200) };
  const read = (count: number) => Promise.all(Array.from({ length: count }, () => models.recognize(line)));
  await read(instances * batch * 2);
  let done = 0;
  sizes.length = 0;
  const pids = [process.pid, ...models.states().flatMap(({ pid }) => pid ?? [])];
  const cpuBefore = cpuMs(pids);
  const start = performance.now();
  const until = start + seconds * 1000;
  const one = async () => {
    while (performance.now() < until) {
      await models.recognize(line);
      done++;
    }
  };
  await Promise.all(Array.from({ length: (instances + 1) * batch }, one));
  const figures = {
    linesPerSecond: done / ((performance.now() - start) / 1000),
    cpuMsPerLine: (cpuMs(pids) - cpuBefore) / done,
  };
  const fill = sizes.reduce((sum, size) => sum + size, 0) / sizes.length / batch;
  if (fill < 0.9) console.log(`mean fill ${fill.toFixed(2)}`);
  await models.close();
  return figures;
}

async function runBare(repository: string, { seconds, width, batch }: Load): Promise<Figures> {
  const args = ['bare', repository, String(seconds), String(width), String(batch)];
  const runs = Array.from({ length: instances }, async () => {
    const child = fork(fileURLToPath(import.meta.url), args);
    const [answer] = await once(child, 'message');
    return { lines: Number(answer.lines), seconds: Number(answer.seconds), cpuMs: Number(answer.cpuMs) };
  });
  const done = await Promise.all(runs);
  const lines = done.reduce((sum, run) => sum + run.lines, 0);
  return {
    linesPerSecond: done.reduce((sum, run) => sum + run.lines / run.seconds, 0),
    cpuMsPerLine: done.reduce((sum, run) => sum + run.cpuMs, 0) / lines,
  };
}

async function bare([repository = '', ...numbers]: string[]): Promise<void> {
  const [seconds = 8, width = 320, batch = 8] = numbers.map(Number);
  const configPath = join(repository, 'ppocrv4-rec/config.pbtxt');
  const configText = await readText(configPath, 'config.pbtxt');
  const config = parseModelConfig(configText, configPath);
  const { session } = await openSession(
    {
      type: 'open',
      configText,
      configPath,
      modelPath: join(repository, 'ppocrv4-rec/1/model.onnx'),
      sha256: '',
      provider: 'cpu',
      gpu: 0,
      intraThreads: 1,
      interThreads: 1,
    },
    config,
  );
  const tensor = new Float32Array(batch * 3 * height * width).fill(0.5);
  const dims = [batch, 3, height, width];
  await infer(session, config, tensor, dims);
  let lines = 0;
  const cpuBefore = cpuMs([process.pid]);
  const start = performance.now();
  while (performance.now() < start + seconds * 1000) {
    await infer(session, config, tensor, dims);
    lines += batch;
  }
  const took = (performance.now() - start) / 1000;
  process.send?.({ lines, seconds: took, cpuMs: cpuMs([process.pid]) - cpuBefore });
  process.disconnect();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function describe({ linesPerSecond, cpuMsPerLine }: Figures): string {
  return `${linesPerSecond.toFixed(1)} lines/s, ${cpuMsPerLine.toFixed(1)} ms CPU a line`;
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}

/** User and system time of the processes so far, from Linux's /proc in its ticks of 10 ms. */
function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(afterName[11]) + Number(afterName[12])) * 10;
  }, 0);
}
