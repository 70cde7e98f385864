import type { Measurement, ModelBenchContext } from './bench-measurement.ts';
import { percent } from './figure-text.ts';
import { type Figures, openBare, openOurs } from './recognizer-load.ts';
import { linesOf, linesOfWidth } from './sample-lines.ts';
import { median, medianRatio } from './statistics.ts';
import { takeTurns } from './take-turns.ts';

const [instances, width, batch] = [2, 320, 8] as const;
const target = 0.95;

/**
 * How much of the bare runtime's speed is left after queueing, pipes, tensor packing, CTC and spaces: lines per second
 * through openModels with 2 instances × 1 thread, over 2 processes that do nothing but session.run on a ready tensor
 * of the same lines. CPU time per line is given too: it holds on a machine that does other work meanwhile, the speeds
 * do not.
 */
export async function measureEngine(context: ModelBenchContext): Promise<Measurement> {
  const { quick, repository, documents, note } = context;
  const [rounds, seconds] = quick ? [3, 1] : [9, 3];
  const lines = linesOfWidth(linesOf(await documents()), width);
  const load = { repository, provider: 'cpu', instances, seconds, width, batch, lines } as const;
  const [bare = [], worker = []] = await takeTurns<Figures>([() => openBare(load), () => openOurs(load)], {
    rounds,
    onRound: (round, figures) =>
      note(`round ${round} of ${rounds}: bare, worker ${figures.map(describe).join('; ')}`),
  });
  const speeds = { worker: worker.map(speedOf), bare: bare.map(speedOf) };
  const costs = { worker: worker.map(costOf), bare: bare.map(costOf) };
  const efficiency = {
    bySpeed: medianRatio(speeds.worker, speeds.bare),
    byCpu: medianRatio(costs.bare, costs.worker),
  };
  const linesPerSecond = { worker: median(speeds.worker), bare: median(speeds.bare) };
  const cpuMsPerLine = { worker: median(costs.worker), bare: median(costs.bare) };
  const setting = { instances, threads: 1, width, batch, lines: lines.length, rounds, seconds };
  return {
    figures: {
      setting,
      efficiency,
      linesPerSecond,
      cpuMsPerLine,
      eachRound: { linesPerSecond: speeds, cpuMsPerLine: costs },
    },
    rows: [
      {
        what: `worker ÷ bare onnxruntime loop, ${instances} instances × 1 thread, batches of ${batch} × ${width} px`,
        figure: `${percent(efficiency.bySpeed)} of the lines/s (${linesPerSecond.worker.toFixed(1)} of ${linesPerSecond.bare.toFixed(1)}); ${percent(efficiency.byCpu)} by CPU time`,
        target: { text: `≥ ${percent(target)}`, met: efficiency.bySpeed >= target },
      },
    ],
  };
}

const speedOf = ({ linesPerSecond }: Figures) => linesPerSecond;
const costOf = ({ cpuMsPerLine }: Figures) => cpuMsPerLine;

function describe({ linesPerSecond, cpuMsPerLine }: Figures): string {
  return `${linesPerSecond.toFixed(1)} lines/s, ${cpuMsPerLine.toFixed(1)} ms CPU a line`;
}
