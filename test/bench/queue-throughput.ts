import { type BenchChild, openChild } from './bench-child.ts';
import type { BenchContext, Measurement, Row } from './bench-measurement.ts';
import { times } from './figure-text.ts';
import { doneSchema, type QueueRequest, type Side, type Spent, spentSchema } from './queue-messages.ts';
import { type BenchRedis, startBenchRedis } from './queue-redis.ts';
import { median, medianRatio } from './statistics.ts';
import { type OpenLoad, takeTurns } from './take-turns.ts';

/** Of one round of one side; times are seconds a job. */
interface Round {
  submit: Cost;
  bulk: Cost;
  work: Cost;
  /** Of Redis, for a job that waits. */
  waitingBytes: number;
}

interface Cost {
  /** On the clock. */
  seconds: number;
  /** Of the process that asks. */
  cpuSeconds: number;
  redisCpuSeconds: number;
}

const producersAtOnce = 64;
/** As many as a worker holds by default. */
const concurrency = 48;
const most = { workerCpu: 1.5, bulk: 1.3 };

/** What a job costs that is submitted, waits, is worked off by a handler that does nothing, and is committed. */
export async function measureThroughput(context: BenchContext): Promise<Measurement> {
  const { quick, note } = context;
  const [rounds, jobs] = quick ? [3, 1000] : [9, 5000];
  const redis = await startBenchRedis(context);
  try {
    const [bare = [], ours = []] = await takeTurns(
      [() => openSide(redis, 'bare', jobs), () => openSide(redis, 'ours', jobs)],
      {
        rounds,
        onRound: (round, figures) =>
          note(
            `round ${round} of ${rounds}: bare, ours ${figures.map(({ work }) => `${perSecond([work]).toFixed(0)} jobs/s worked off`).join(', ')}`,
          ),
      },
    );
    const setting = { jobs, rounds, producersAtOnce, concurrency };
    const steps = ['submit', 'bulk', 'work'] as const;
    const medians = (side: readonly Round[]) => ({
      ...Object.fromEntries(steps.map((step) => [step, describe(side.map((round) => round[step]))])),
      waitingBytes: median(side.map(({ waitingBytes }) => waitingBytes)),
    });
    return {
      figures: { setting, bare: medians(bare), ours: medians(ours), eachRound: { bare, ours } },
      rows: rowsOf(bare, ours),
    };
  } finally {
    await redis.stop();
  }
}

async function openSide(redis: BenchRedis, side: Side, jobs: number): Promise<OpenLoad<Round>> {
  const producer = openChild('queue-child.ts');
  const worker = openChild('queue-child.ts');
  for (const child of [producer, worker]) await child.ask({ type: 'open', side, url: redis.url }, doneSchema);
  const run = async (child: BenchChild, request: QueueRequest): Promise<Cost> => {
    const before = await redis.cpuSeconds();
    const spent: Spent = await child.ask(request, spentSchema);
    const redisCpuSeconds = (await redis.cpuSeconds()) - before;
    return {
      seconds: spent.seconds / jobs,
      cpuSeconds: spent.cpuSeconds / jobs,
      redisCpuSeconds: redisCpuSeconds / jobs,
    };
  };
  const round = async (): Promise<Round> => {
    await redis.clear();
    const bulk = await run(producer, { type: 'bulk', jobs });
    await redis.clear();
    const empty = await redis.dataBytes();
    const submit = await run(producer, { type: 'submit', jobs, atOnce: producersAtOnce });
    const waitingBytes = ((await redis.dataBytes()) - empty) / jobs;
    const work = await run(worker, { type: 'work', jobs, concurrency });
    return { submit, bulk, work, waitingBytes };
  };
  // What a process does for the first time it does slowly.
  await round();
  return {
    run: round,
    async close() {
      await Promise.all([producer.close(), worker.close()]);
    },
  };
}

function rowsOf(bare: readonly Round[], ours: readonly Round[]): Row[] {
  const row = (
    what: string,
    step: 'submit' | 'bulk' | 'work',
    bound?: { of: keyof Cost; most: number },
  ): Row => {
    const [a, b] = [bare.map((round) => round[step]), ours.map((round) => round[step])];
    const ratio = (of: keyof Cost) =>
      medianRatio(
        b.map((cost) => cost[of]),
        a.map((cost) => cost[of]),
      );
    const cost = (name: string, of: keyof Cost) =>
      `${name} ${times(ratio(of))} (${microseconds(b, of)} of ${microseconds(a, of)} µs)`;
    const figure = `${perSecond(b).toFixed(0)} of ${perSecond(a).toFixed(0)} jobs/s; ${[
      cost('time', 'seconds'),
      cost('CPU', 'cpuSeconds'),
      cost('Redis', 'redisCpuSeconds'),
    ].join(', ')}`;
    if (bound === undefined) return { what, figure };
    const target = {
      text: `${bound.of === 'seconds' ? 'time' : 'CPU'} ≤ ${times(bound.most)}`,
      met: ratio(bound.of) <= bound.most,
    };
    return { what, figure, target };
  };
  const bytes = (side: readonly Round[]) => median(side.map(({ waitingBytes }) => waitingBytes)).toFixed(0);
  return [
    row('submit one by one, ours of bare', 'submit'),
    row('make a batch’s jobs, ours of addBulk', 'bulk', { of: 'seconds', most: most.bulk }),
    row('work off and commit, ours of bare', 'work', { of: 'cpuSeconds', most: most.workerCpu }),
    { what: 'memory of Redis for a job that waits', figure: `${bytes(ours)} of ${bytes(bare)} bytes` },
  ];
}

function describe(costs: readonly Cost[]) {
  const of = (what: keyof Cost) => Number(microseconds(costs, what));
  return {
    jobsPerSecond: Math.round(perSecond(costs)),
    us: of('seconds'),
    cpuUs: of('cpuSeconds'),
    redisCpuUs: of('redisCpuSeconds'),
  };
}

function perSecond(costs: readonly Cost[]): number {
  return 1 / median(costs.map(({ seconds }) => seconds));
}

function microseconds(costs: readonly Cost[], of: keyof Cost): string {
  return (median(costs.map((cost) => cost[of])) * 1e6).toFixed(0);
}
