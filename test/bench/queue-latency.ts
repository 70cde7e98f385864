import { openChild } from './bench-child.ts';
import type { BenchContext, Measurement } from './bench-measurement.ts';
import { signed } from './figure-text.ts';
import { doneSchema, type Side, tripsSchema } from './queue-messages.ts';
import { type BenchRedis, startBenchRedis } from './queue-redis.ts';
import { median, quantile } from './statistics.ts';
import { type OpenLoad, takeTurns } from './take-turns.ts';

/** What our queue adds to the time from a job's submission to when its producer knows its end, one job at a time. */
export async function measureTrips(context: BenchContext): Promise<Measurement> {
  const { quick, note } = context;
  const [rounds, jobs] = quick ? [3, 50] : [9, 300];
  const redis = await startBenchRedis(context);
  try {
    const [bare = [], ours = []] = await takeTurns(
      [() => openSide(redis, 'bare', jobs), () => openSide(redis, 'ours', jobs)],
      {
        rounds,
        onRound: (round, figures) =>
          note(
            `round ${round} of ${rounds}: bare, ours ${figures.map((ms) => `${median(ms).toFixed(2)} ms`).join(', ')}`,
          ),
      },
    );
    const at = (side: readonly number[][], share: number) => median(side.map((ms) => quantile(ms, share)));
    const added = (share: number) =>
      median(ours.map((ms, round) => quantile(ms, share) - quantile(bare[round] ?? [], share)));
    const figures = Object.fromEntries(
      [50, 99].map((percentile) => {
        const share = percentile / 100;
        return [
          `p${percentile}`,
          { bareMs: at(bare, share), oursMs: at(ours, share), addedMs: added(share) },
        ];
      }),
    );
    const text = (share: number) =>
      `p${share * 100} ${signed(added(share), 2)} ms to the bare ${at(bare, share).toFixed(2)} ms`;
    return {
      figures: { setting: { rounds, jobs }, ...figures },
      rows: [
        {
          what: 'latency added at low load, submitted to known to be done',
          figure: `${text(0.5)}; ${text(0.99)}`,
        },
      ],
    };
  } finally {
    await redis.stop();
  }
}

async function openSide(redis: BenchRedis, side: Side, jobs: number): Promise<OpenLoad<number[]>> {
  const producer = openChild('queue-child.ts');
  const worker = openChild('queue-child.ts');
  for (const child of [producer, worker]) await child.ask({ type: 'open', side, url: redis.url }, doneSchema);
  await worker.ask({ type: 'serve', concurrency: 8, jobMs: 0 }, doneSchema);
  const run = async () => (await producer.ask({ type: 'trips', jobs }, tripsSchema)).tripMs;
  await run();
  return {
    run,
    async close() {
      await Promise.all([producer.close(), worker.close()]);
    },
  };
}
