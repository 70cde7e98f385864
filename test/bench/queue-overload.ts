import { setTimeout as delay } from 'node:timers/promises';
import { isFinal, jobSchema, statusSchema } from '@glyphmill/contract/job';
import { keysOf } from '@glyphmill/queue/keys';
import { openChild } from './bench-child.ts';
import type { BenchContext, Measurement } from './bench-measurement.ts';
import { megabytes, percent } from './figure-text.ts';
import { type ApiAnswer, type BenchApi, startBenchApi } from './queue-api.ts';
import { doneSchema } from './queue-messages.ts';
import { ourShard } from './queue-ours.ts';
import { type BenchRedis, startBenchRedis } from './queue-redis.ts';
import { quantile } from './statistics.ts';

/** What the worker can do: so many at once, each taking so long. */
const worker = { concurrency: 5, jobMs: 100 };
const jobsPerSecond = (worker.concurrency * 1000) / worker.jobMs;
const overload = 10;
/** Ten seconds' worth. */
const maxWaiting = jobsPerSecond * 10;
const maxMemoryBytes = 64_000_000;
const pollEveryMs = 50;
const drainDeadlineMs = 120_000;
const target = { refusedMs: 2000, pollMs: 250 };

interface Seen {
  accepted: string[];
  refusals: ApiAnswer[];
  /** Answers that are neither 202 nor a refusal as it should be. */
  odd: string[];
  pollMs: number[];
  mostBytes: number;
}

/** The API asked for ten times what its worker can do: nothing accepted is lost, and the rest is told soon when to come back. */
export async function measureOverload(context: BenchContext): Promise<Measurement> {
  const { quick, note, seconds = quick ? 15 : 120 } = context;
  const redis = await startBenchRedis(context, ['--maxmemory', `${maxMemoryBytes}`]);
  try {
    const api = await startBenchApi(context, {
      REDIS_URL: redis.url,
      REDIS_SHARD: ourShard,
      MAX_WAITING_JOBS: `${maxWaiting}`,
    });
    const [slow, fast] = [openChild('queue-child.ts'), openChild('queue-child.ts')];
    try {
      await slow.ask({ type: 'open', side: 'ours', url: redis.url }, doneSchema);
      await slow.ask({ type: 'serve', ...worker }, doneSchema);
      const seen = await press(api, { redis, seconds });
      note(`${seen.accepted.length} accepted, ${seen.refusals.length} refused; working off what waits`);
      await fast.ask({ type: 'open', side: 'ours', url: redis.url }, doneSchema);
      await fast.ask({ type: 'serve', concurrency: 48, jobMs: 0 }, doneSchema);
      const lost = await countLost(redis, seen.accepted);
      return describe(seen, { lost, seconds });
    } finally {
      await Promise.all([slow.close(), fast.close(), api.close()]);
    }
  } finally {
    await redis.stop();
  }
}

/** Submits at a steady pace whatever is answered, asks for jobs, and looks at Redis. */
async function press(
  api: BenchApi,
  { redis, seconds }: { redis: BenchRedis; seconds: number },
): Promise<Seen> {
  const seen: Seen = { accepted: [], refusals: [], odd: [], pollMs: [], mostBytes: 0 };
  const endMs = performance.now() + seconds * 1000;
  const until = async (everyMs: number, act: () => Promise<void>) => {
    while (performance.now() < endMs) {
      await act();
      await delay(everyMs);
    }
  };
  const begunMs = performance.now();
  const answers: Promise<void>[] = [];
  await Promise.all([
    until(10, async () => {
      const due = ((performance.now() - begunMs) / 1000) * jobsPerSecond * overload;
      while (answers.length < due) answers.push(submit(api, answers.length, seen));
    }),
    until(pollEveryMs, async () => {
      const id = seen.accepted[Math.floor(Math.random() * seen.accepted.length)];
      if (id === undefined) return;
      const { status, tookMs } = await api.call('GET', `/v1/jobs/${id}`);
      if (status !== 200) seen.odd.push(`a poll: ${status}`);
      seen.pollMs.push(tookMs);
    }),
    until(250, async () => {
      seen.mostBytes = Math.max(seen.mostBytes, await redis.usedBytes());
    }),
  ]);
  await Promise.all(answers);
  return seen;
}

async function submit(api: BenchApi, index: number, { accepted, refusals, odd }: Seen): Promise<void> {
  const source = { type: 's3', bucket: 'scans', key: `${index}.png` };
  try {
    const answer = await api.call('POST', '/v1/jobs', { source });
    if (answer.status === 202) accepted.push(jobSchema.parse(JSON.parse(answer.body)).id);
    else if ((answer.status === 429 || answer.status === 503) && Number(answer.retryAfter) > 0)
      refusals.push(answer);
    else odd.push(`${answer.status}: ${answer.body}`);
  } catch (error) {
    odd.push(String(error));
  }
}

/** Of the accepted jobs, those that have not come to a final state by the deadline. */
async function countLost(redis: BenchRedis, ids: readonly string[]): Promise<number> {
  const keys = keysOf(ourShard);
  const deadlineMs = performance.now() + drainDeadlineMs;
  let open = [...ids];
  for (;;) {
    const statuses = await Promise.all(open.map((id) => redis.field(keys.record(id), 'status')));
    open = open.filter((_, position) => {
      const { data } = statusSchema.safeParse(statuses[position]);
      return data === undefined || !isFinal(data);
    });
    if (open.length === 0 || performance.now() > deadlineMs) return open.length;
    await delay(200);
  }
}

function describe(
  { accepted, refusals, odd, pollMs, mostBytes }: Seen,
  { lost, seconds }: { lost: number; seconds: number },
): Measurement {
  const refusedMs = refusals.map(({ tookMs }) => tookMs);
  const [slowestRefusal, p99Poll] = [Math.max(0, ...refusedMs), quantile(pollMs, 0.99)];
  const asked = accepted.length + refusals.length + odd.length;
  return {
    figures: {
      setting: { seconds, jobsPerSecond, overload, maxWaiting, maxMemoryBytes },
      asked,
      accepted: accepted.length,
      lost,
      refused: refusals.length,
      refusedMs: { p50: quantile(refusedMs, 0.5), p99: quantile(refusedMs, 0.99), most: slowestRefusal },
      odd: { count: odd.length, first: odd.slice(0, 5) },
      pollMs: { p50: quantile(pollMs, 0.5), p99: p99Poll, most: Math.max(...pollMs) },
      mostBytes,
    },
    rows: [
      {
        what: `${overload} × what the worker can do for ${seconds} s: accepted jobs lost`,
        figure: `${lost} of ${accepted.length}; ${(asked / seconds).toFixed(0)} calls/s, ${percent(refusals.length / asked)} refused`,
        target: { text: '0', met: lost === 0 },
      },
      {
        what: 'refusals: 429 or 503 with Retry-After',
        figure: `p50 ${quantile(refusedMs, 0.5).toFixed(0)} ms, p99 ${quantile(refusedMs, 0.99).toFixed(0)} ms, at most ${slowestRefusal.toFixed(0)} ms; ${odd.length} other answers`,
        target: { text: 'all, ≤ 2 s', met: odd.length === 0 && slowestRefusal <= target.refusedMs },
      },
      {
        what: 'polls of a job’s status meanwhile',
        figure: `p50 ${quantile(pollMs, 0.5).toFixed(0)} ms, p99 ${p99Poll.toFixed(0)} ms`,
        target: { text: 'p99 < 250 ms', met: p99Poll < target.pollMs },
      },
      {
        what: 'memory of Redis at most',
        figure: `${megabytes(mostBytes)} of ${megabytes(maxMemoryBytes)}`,
        target: { text: 'below', met: mostBytes < maxMemoryBytes },
      },
    ],
  };
}
