import { openChild } from './bench-child.ts';
import type { BenchContext, Measurement } from './bench-measurement.ts';
import { times } from './figure-text.ts';
import { cpuMs } from './process-use.ts';
import { startBenchApi } from './queue-api.ts';
import { doneSchema, spentSchema } from './queue-messages.ts';
import { type BenchRedis, startBenchRedis } from './queue-redis.ts';
import { median, medianRatio } from './statistics.ts';
import { type OpenLoad, takeTurns } from './take-turns.ts';

/** A round's time and CPU of the submitting process, in seconds a job. */
interface Round {
  seconds: number;
  cpuSeconds: number;
}

const endlessly = '10000000';
const callersAtOnce = 64;

/** POST /v1/jobs beside `queue.add` of a bare producer that needs no HTTP. */
export async function measureHttp(context: BenchContext): Promise<Measurement> {
  const { quick, note } = context;
  const [rounds, jobs] = quick ? [3, 500] : [9, 3000];
  const redis = await startBenchRedis(context);
  try {
    const openings = [() => openBare(redis, jobs), () => openApi(context, redis, jobs)];
    const [bare = [], http = []] = await takeTurns(openings, {
      rounds,
      onRound: (round, figures) =>
        note(
          `round ${round} of ${rounds}: bare, HTTP ${figures.map(({ seconds }) => `${(1 / seconds).toFixed(0)} jobs/s`).join(', ')}`,
        ),
    });
    const of = (what: keyof Round) => {
      const [a, b] = [bare, http].map((side) => side.map((round) => round[what]));
      const [bareUs, httpUs] = [a, b].map((side = []) => median(side) * 1e6);
      return { bareUs: bareUs ?? 0, httpUs: httpUs ?? 0, ratio: medianRatio(b ?? [], a ?? []) };
    };
    const [time, cpu] = [of('seconds'), of('cpuSeconds')];
    return {
      figures: { setting: { rounds, jobs, callersAtOnce }, time, cpu },
      rows: [
        {
          what: 'submit through HTTP, of a bare producer without',
          figure: `${(1e6 / time.httpUs).toFixed(0)} of ${(1e6 / time.bareUs).toFixed(0)} jobs/s; time ${times(time.ratio)}, CPU of the API ${times(cpu.ratio)} (${cpu.httpUs.toFixed(0)} of ${cpu.bareUs.toFixed(0)} µs)`,
        },
      ],
    };
  } finally {
    await redis.stop();
  }
}

async function openBare(redis: BenchRedis, jobs: number): Promise<OpenLoad<Round>> {
  const producer = openChild('queue-child.ts');
  await producer.ask({ type: 'open', side: 'bare', url: redis.url }, doneSchema);
  const run = async (): Promise<Round> => {
    await redis.clear();
    const spent = await producer.ask({ type: 'submit', jobs, atOnce: callersAtOnce }, spentSchema);
    return { seconds: spent.seconds / jobs, cpuSeconds: spent.cpuSeconds / jobs };
  };
  await run();
  return { run, close: () => producer.close() };
}

async function openApi(context: BenchContext, redis: BenchRedis, jobs: number): Promise<OpenLoad<Round>> {
  const api = await startBenchApi(context, {
    REDIS_URL: redis.url,
    REDIS_SHARD: 'http',
    MAX_WAITING_JOBS: endlessly,
    TENANT_MAX_JOBS: endlessly,
  });
  const run = async (): Promise<Round> => {
    await redis.clear();
    const [begunMs, cpuBefore] = [performance.now(), cpuMs([api.pid])];
    let left = jobs;
    const caller = async () => {
      while (left > 0) {
        left -= 1;
        const source = { type: 's3', bucket: 'scans', key: `2026/11/${left}.png` };
        const { status, body } = await api.call('POST', '/v1/jobs', { source, metadata: { ref: '9912' } });
        if (status !== 202) throw new Error(`expected 202, got ${status}: ${body}`);
      }
    };
    await Promise.all(Array.from({ length: callersAtOnce }, caller));
    return {
      seconds: (performance.now() - begunMs) / 1000 / jobs,
      cpuSeconds: (cpuMs([api.pid]) - cpuBefore) / 1000 / jobs,
    };
  };
  await run();
  return { run, close: () => api.close() };
}
