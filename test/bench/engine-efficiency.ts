/**
 * How much of the bare runtime's speed is left after queueing, pipes, tensor packing and CTC: lines per second
 * through openModels with 2 instances × 1 thread, over 2 processes that do nothing but session.run on ready tensors
 * of the same shape. Both take turns; medians. CPU time per line is given too (Linux): it holds on a machine that does
 * other work meanwhile, the speeds do not.
 *
 *   node --import tsx test/bench/engine-efficiency.ts [rounds=5] [seconds=8] [width=320] [batch=8]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { type Figures, runBare, runOurs } from './recognizer-load.ts';

const instances = 2;

await compare(process.argv.slice(2).map(Number));

async function compare([rounds = 5, seconds = 8, width = 320, batch = 8]: number[]): Promise<void> {
  const repository = await mkdtemp(join(tmpdir(), 'glyphmill-bench-'));
  await importDefaultModels(repository);
  const ours: Figures[] = [];
  const theirs: Figures[] = [];
  for (let round = 0; round < (rounds || 5); round++) {
    const load = { repository, provider: 'cpu', instances, seconds, width, batch } as const;
    const bareFigures = await runBare(load);
    const ourFigures = await runOurs(load);
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

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function describe({ linesPerSecond, cpuMsPerLine }: Omit<Figures, 'startMs' | 'endMs'>): string {
  return `${linesPerSecond.toFixed(1)} lines/s, ${cpuMsPerLine.toFixed(1)} ms CPU a line`;
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}
