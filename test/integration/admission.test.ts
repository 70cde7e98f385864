import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { JobFailure } from '@glyphmill/contract/failure';
import { openAdmission } from '@glyphmill/queue/admission';
import { commit, reportProgress } from '@glyphmill/queue/attempt';
import { connectConsumer } from '@glyphmill/queue/connection';
import { startConsumer } from '@glyphmill/queue/consumer';
import { QueueFull, QuotaExceeded, RedisPolicyError } from '@glyphmill/queue/errors';
import type { Handler } from '@glyphmill/queue/job-run';
import { openJobStore } from '@glyphmill/queue/job-store';
import { keysOf } from '@glyphmill/queue/keys';
import { watchPolicy } from '@glyphmill/queue/redis-policy';
import {
  begin,
  newJob,
  newShard,
  startTestRedis,
  succeeded,
  type TestQueue,
  testLimits,
  until,
  withTestQueue,
} from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const none = { jobs: 0, pages: 0, megapixels: 0 };
const failure = { code: 'internal', message: 'no', retryable: false, phase: 'decode' } as const;
const pages = { pagesTotal: 7, pagesDone: 1, pagesFailed: 0, megapixels: 12.5 };

/** While `run` runs, a worker whose jobs have all said what they hold. */
async function withWorker({ address }: TestQueue, handler: Handler, run: () => Promise<void>): Promise<void> {
  const worker = await startConsumer({
    address,
    concurrency: 4,
    handler: async (attempt, context) => {
      context.begin();
      context.progress(pages);
      return handler(attempt, context);
    },
    models: () => [],
    onAttempt: () => {},
    onWarning: () => {},
  });
  await run().finally(() => worker.close(0));
}

const inUse = (queue: TestQueue, usage: typeof none) =>
  until(`usage ${JSON.stringify(usage)}`, async () => {
    const now = await queue.store.usage('acme');
    return now.jobs === usage.jobs && now.pages === usage.pages && now.megapixels === usage.megapixels;
  });

test('pages and megapixels of what runs close the door at their limit, and its end opens it', async () => {
  for (const unit of ['pages', 'megapixels'] as const) {
    const tenant = { jobs: 100, pages: 100, megapixels: 100, [unit]: 7 };
    await withTestQueue(
      server.url,
      async ({ store, redis, keys }) => {
        const job = newJob();
        await store.submit(job);
        const attempt = await begin(redis, keys, job.id);
        await reportProgress(redis, keys, { attempt, pages: { ...pages, pagesTotal: 3, megapixels: 3 } });
        const { usage } = await store.submit(newJob());
        assert.deepEqual(usage, { jobs: 2, pages: 3, megapixels: 3 });
        await reportProgress(redis, keys, { attempt, pages: { ...pages, pagesTotal: 7, megapixels: 7 } });
        await assert.rejects(store.submit(newJob()), (error) => {
          assert.ok(error instanceof QuotaExceeded);
          assert.deepEqual([error.unit, error.usage], [unit, { jobs: 2, pages: 7, megapixels: 7 }]);
          return true;
        });
        await store.submit(newJob({}, 'other'));
        await commit(redis, keys, { attempt, outcome: succeeded });
        assert.deepEqual((await store.submit(newJob())).usage, { jobs: 2, pages: 0, megapixels: 0 });
      },
      { tenant },
    );
  }
});

test('whatever way a job that began ends, what it held is given back', () =>
  withTestQueue(server.url, async (queue) => {
    const { store } = queue;
    let begun = 0;
    const handler: Handler = async ({ task, number }, { signal }) => {
      begun += 1;
      const { end } = task.metadata;
      if (end === 'failed') throw new JobFailure(failure);
      if (end === 'retried' && number === 1) throw new JobFailure({ ...failure, retryable: true });
      if (end === 'long') await once(signal, 'abort').then(() => Promise.reject(new Error('left')));
      return end === 'partial' ? { ...succeeded, status: 'partial' } : succeeded;
    };
    const running = async (deadlineMs?: number) => {
      const before = begun;
      const job = newJob({ metadata: { end: 'long' } });
      await store.submit({ ...job, deadlineMs });
      await until('begun', () => begun > before);
      await inUse(queue, { jobs: 1, pages: 7, megapixels: 12.5 });
      return job;
    };
    await withWorker(queue, handler, async () => {
      for (const end of ['succeeded', 'failed', 'partial', 'retried']) {
        const { id, tenant, task } = newJob({ metadata: { end } });
        const isOver = async () => ((await store.get(tenant, id))?.finishedAtMs ?? null) !== null;
        await store.submit({ id, tenant, task });
        await until(`end of ${end}`, isOver);
        assert.deepEqual(await store.usage(tenant), none, end);
        if (end === 'failed') {
          await store.retry(tenant, id);
          await inUse(queue, none);
        }
        await store.delete(tenant, id);
        assert.deepEqual(await store.usage(tenant), none, `${end} and deleted`);
      }
      await store.cancel('acme', (await running()).id);
      await inUse(queue, none);
      await running(Date.now() + 2000);
      await inUse(queue, none);
      await running();
    });
    // The last one was handed back, and waits with what it held.
    const { records } = await store.list('acme', { limit: 10, status: 'queued' });
    assert.deepEqual([records.length, (await store.usage('acme')).jobs], [1, 1]);
    for (const { id } of records) await store.cancel('acme', id);
    assert.deepEqual(await store.usage('acme'), none);
  }));

test('jobs that end while they wait, and those whose workers died, give back what they held', () =>
  withTestQueue(server.url, async (queue) => {
    const { store, redis, keys } = queue;
    const [canceled, expired, job] = [newJob(), newJob(), newJob()];
    await store.submit(canceled);
    await store.submit({ ...expired, deadlineMs: Date.now() + 100 });
    await store.cancel('acme', canceled.id);
    await inUse(queue, none);

    await store.submit(job);
    for (let death = 0; death < 2; death += 1) {
      const attempt = await begin(redis, keys, job.id);
      await reportProgress(redis, keys, { attempt, pages });
    }
    assert.deepEqual(await store.usage('acme'), { jobs: 1, pages: 7, megapixels: 12.5 });
    const last = await begin(redis, keys, job.id);
    await commit(redis, keys, { attempt: last, outcome: { status: 'failed', failure } });
    assert.deepEqual(await store.usage('acme'), none);
  }));

test('a refused tenant is told to come back when a twentieth of its jobs will have ended, by its own pace', () =>
  withTestQueue(
    server.url,
    async ({ store, redis, keys }) => {
      const end = async (id: string) =>
        commit(redis, keys, { attempt: await begin(redis, keys, id), outcome: succeeded });
      const retryAfter = async (): Promise<number> => {
        const error: unknown = await store.submit(newJob()).catch((thrown: unknown) => thrown);
        assert.ok(error instanceof QuotaExceeded, String(error));
        return error.retryAfterSeconds;
      };
      const jobs = Array.from({ length: 200 }, () => newJob());
      for (const job of jobs) await store.submit(job);
      assert.equal(await retryAfter(), 120, 'nothing has ended yet: nobody knows');
      const begunMs = Date.now();
      for (let index = 0; index < 50; index += 1) {
        const job = newJob({}, 'quick');
        await store.submit(job);
        await end(job.id);
      }
      assert.equal(await retryAfter(), 120, 'what others do says nothing of its own pace');
      for (const { id } of jobs.slice(0, 4)) {
        await end(id);
        await store.submit(newJob());
        await delay(300);
      }
      // 10 of 200 make room, and 4 have ended since some time in the slot of 10 s that it began in.
      const seconds = await retryAfter();
      const sinceSeconds = (Date.now() - begunMs) / 1000;
      const [least, most] = [2.5 * 1.2, 2.5 * (sinceSeconds + 10.5)];
      assert.ok(seconds >= least && seconds <= most, `${seconds} s, not ${least} to ${most}`);
    },
    { tenant: { ...testLimits.tenant, jobs: 200 } },
  ));

test('a full queue tells when to come back by the pace of all, and who comes then is let in', () =>
  withTestQueue(
    server.url,
    async (queue) => {
      let ended = 0;
      const begunMs = Date.now();
      // 4 at once, each half a second: 8 a second at most.
      const handler: Handler = async () => {
        await delay(500);
        ended += 1;
        return succeeded;
      };
      const refused = async () => {
        const error: unknown = await queue.store.submit(newJob()).catch((thrown: unknown) => thrown);
        return error instanceof QueueFull ? error.retryAfterSeconds : undefined;
      };
      await withWorker(queue, handler, async () => {
        const isFull = async () => (await refused()) !== undefined && ended >= 8;
        await until('jobs have ended, and the queue is full', isFull);
        const seconds = await until('a refusal', refused);
        // 10 of 200 make room.
        const most = Math.ceil(10 / (8 / ((Date.now() - begunMs) / 1000 + 10.5)));
        assert.ok(seconds >= 1 && seconds <= most, `${seconds} s, not 1 to ${most}`);
        await delay(seconds * 1000);
        assert.equal(await refused(), undefined, 'refused again');
      });
    },
    { maxWaiting: 200 },
  ));

test('with more than 70 % of its memory used Redis takes single jobs and no bulk, above 80 % neither', async () => {
  const own = await startTestRedis(['--maxmemory', '32mb']);
  const redis = connectConsumer(own.url, () => {});
  const policy = watchPolicy(redis, { onWarning: () => {} });
  const fillTo = async (share: number) => {
    for (let index = 0; ; index += 1) {
      const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
      if (used >= share * 32 * 1024 * 1024) return;
      await redis.set(`ballast:${share}:${index}`, Buffer.alloc(100_000));
    }
  };
  const isFull = (error: unknown) => error instanceof QueueFull && error.reason === 'memory';
  const open = () => openAdmission(redis, keysOf(newShard()), policy);
  try {
    await open().check('bulk');
    await fillTo(0.72);
    await open().check('single');
    await assert.rejects(open().check('bulk'), isFull);
    await fillTo(0.82);
    await assert.rejects(open().check('single'), isFull);
  } finally {
    policy.close();
    redis.disconnect();
    await own.stop();
  }
});

test('a Redis that comes to be set up to evict is noticed: no more jobs until it keeps them again', async () => {
  const own = await startTestRedis();
  const address = { url: own.url, shard: newShard() };
  const warnings: string[] = [];
  const onWarning = (warning: string) => warnings.push(warning);
  const store = await openJobStore(address, { limits: testLimits, onError: () => {}, onWarning });
  const options = { address, concurrency: 1, handler: async () => succeeded, models: () => [] };
  const worker = await startConsumer({ ...options, onAttempt: () => {}, onWarning: () => {} });
  const redis = connectConsumer(own.url, () => {});
  const isPolicy = (error: unknown) => error instanceof RedisPolicyError && /allkeys-lfu/.test(error.message);
  try {
    const job = newJob();
    await store.submit(job);
    warnings.length = 0;
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lfu');
    await assert.rejects(store.ping(), isPolicy);
    await assert.rejects(worker.ping(), isPolicy);
    await assert.rejects(store.submit(newJob()), isPolicy);
    assert.equal((await store.get('acme', job.id))?.id, job.id, 'what is there can be read');
    assert.deepEqual(warnings.length, 1, 'told once');

    await redis.config('SET', 'maxmemory-policy', 'noeviction');
    await store.ping();
    await worker.ping();
    await store.submit(newJob());
    assert.match(warnings[1] ?? '', /keeps what it accepts again/);
  } finally {
    await worker.close(1000);
    await store.close();
    redis.disconnect();
    await own.stop();
  }
});

test('the change is noticed also while nobody asks and nobody submits', async () => {
  const own = await startTestRedis(['--maxmemory-policy', 'volatile-ttl']);
  const redis = connectConsumer(own.url, () => {});
  const warnings: string[] = [];
  const policy = watchPolicy(redis, { onWarning: (warning) => warnings.push(warning), everyMs: 20 });
  try {
    await until('warned', () => warnings.length > 0);
    assert.throws(() => policy.expectKeeping(), RedisPolicyError);
  } finally {
    policy.close();
    redis.disconnect();
    await own.stop();
  }
});
