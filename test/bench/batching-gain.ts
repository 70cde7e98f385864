import { join } from 'node:path';
import type { Measurement, ModelBenchContext } from './bench-measurement.ts';
import { times } from './figure-text.ts';
import { openOurs } from './recognizer-load.ts';
import { copyRepository } from './repository-shape.ts';
import { linesOf, linesOfWidth } from './sample-lines.ts';
import { median, medianRatio } from './statistics.ts';
import { takeTurns } from './take-turns.ts';

const [instances, width] = [2, 320] as const;

/** Lines per second through the whole worker path by max_batch_size, over what it gives with batches of 1. */
export async function measureBatching(context: ModelBenchContext): Promise<Measurement> {
  const { quick, repository, folder, documents, note } = context;
  const [rounds, seconds] = quick ? [3, 1] : [5, 2];
  const batches = quick ? [1, 8] : [1, 4, 8, 16];
  const lines = linesOfWidth(linesOf(await documents()), width);
  const openings = batches.map((batch) => async () => {
    const to = join(folder, `batch-${batch}`);
    await copyRepository({ from: repository, to, batch, width });
    return openOurs({ repository: to, provider: 'cpu', instances, seconds, width, batch, lines });
  });
  const found = await takeTurns(openings, {
    rounds,
    onRound: (round, figures) =>
      note(
        `round ${round} of ${rounds}: ${figures.map(({ linesPerSecond }, i) => `batch ${batches[i]} ${linesPerSecond.toFixed(1)} lines/s`).join(', ')}`,
      ),
  });
  const speeds = found.map((each) => each.map(({ linesPerSecond }) => linesPerSecond));
  const costs = found.map((each) => each.map(({ cpuMsPerLine }) => cpuMsPerLine));
  const sizes = batches.map((batch, i) => ({
    batch,
    linesPerSecond: median(speeds[i] ?? []),
    cpuMsPerLine: median(costs[i] ?? []),
    gainBySpeed: medianRatio(speeds[i] ?? [], speeds[0] ?? []),
    gainByCpu: medianRatio(costs[0] ?? [], costs[i] ?? []),
  }));
  return {
    figures: { setting: { instances, threads: 1, width, rounds, seconds }, sizes },
    rows: sizes
      .filter(({ batch }) => batch > 1)
      .map(({ batch, linesPerSecond, gainBySpeed, gainByCpu }) => ({
        what: `batches of ${batch} ÷ batches of 1, whole path, ${width} px, CPU`,
        figure: `${times(gainBySpeed)} the lines/s (${linesPerSecond.toFixed(1)}); ${times(gainByCpu)} by CPU time`,
      })),
  };
}
