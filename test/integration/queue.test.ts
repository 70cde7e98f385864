import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { newId } from '@glyphmill/contract/id';
import { type CommitAnswer, claim, commit, begin as noteBegun, release } from '@glyphmill/queue/attempt';
import { connectConsumer } from '@glyphmill/queue/connection';
import { startConsumer } from '@glyphmill/queue/consumer';
import { createJob, type Limits } from '@glyphmill/queue/create';
import { bullIdOf, openDocumentsQueue } from '@glyphmill/queue/documents-queue';
import { QueueFull, QueueUnavailable, RedisPolicyError } from '@glyphmill/queue/errors';
import { feed } from '@glyphmill/queue/feeder';
import { openJobStore } from '@glyphmill/queue/job-store';
import { retryJob } from '@glyphmill/queue/retry';
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

const failure = { code: 'internal', message: 'no', retryable: false, phase: 'decode' } as const;

const withQueue = (run: (queue: TestQueue) => Promise<void>, limits: Partial<Limits> = {}): Promise<void> =>
  withTestQueue(server.url, run, limits);

test('a job goes from submitted over claimed to committed, and its result is there until it expires', () =>
  withQueue(async ({ store, redis, keys }) => {
    const webhook = { url: 'https://hooks.example/', events: ['job.succeeded'] };
    const job = newJob({ webhook, ttlSeconds: 60 });
    const { record: queued } = await store.submit(job);
    assert.deepEqual(await store.get('acme', job.id), queued);
    assert.deepEqual([queued.status, queued.attempt, queued.expiresAtMs], ['queued', 0, null]);
    assert.equal((await store.counts()).waiting, 1);

    const attempt = await begin(redis, keys, job.id);
    assert.deepEqual([attempt.number, attempt.crashes, attempt.tenant], [1, 0, 'acme']);
    assert.deepEqual(attempt.task, job.task);
    assert.equal((await store.get('acme', job.id))?.status, 'running');
    assert.equal(await store.result('acme', job.id), undefined);

    assert.equal(await commit(redis, keys, { attempt, outcome: succeeded }), 'ok');
    const record = await store.get('acme', job.id);
    assert.ok(
      record !== undefined && record.expiresAtMs !== null && record.finishedAtMs !== null,
      'it is there',
    );
    assert.equal(record.status, 'succeeded');
    assert.deepEqual(record.progress, { pagesTotal: 3, pagesDone: 3, pagesFailed: 0 });
    assert.deepEqual(record.usage, { ...succeeded.usage, cache: 'bypass' });
    const lifetimeMs = record.expiresAtMs - record.finishedAtMs;
    assert.ok(lifetimeMs >= 60_000 && lifetimeMs < 62_000, `${lifetimeMs}`);
    assert.deepEqual(await store.result('acme', job.id), succeeded.result);
    for (const key of [keys.record(job.id), keys.result(job.id)]) {
      const ttlMs = await redis.pttl(key);
      assert.ok(ttlMs > 50_000 && ttlMs <= 60_000, `${key} lives ${ttlMs} ms`);
    }
    assert.equal(await redis.xlen(keys.outbox), 1);
    assert.equal(await store.get('other', job.id), undefined, 'another tenant');
    assert.equal(await store.result('other', job.id), undefined);
  }));

test('no event is written for an outcome that nobody asked for', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob({ webhook: { url: 'https://hooks.example/', events: ['job.failed'] } });
    await store.submit(job);
    await commit(redis, keys, { attempt: await begin(redis, keys, job.id), outcome: succeeded });
    assert.equal(await redis.xlen(keys.outbox), 0);
  }));

test('a commit is refused when another attempt has begun, when the job has ended, and when it is gone', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob({
      webhook: { url: 'https://hooks.example/', events: ['job.succeeded', 'job.failed'] },
    });
    await store.submit(job);
    const zombie = await begin(redis, keys, job.id);
    const attempt = await begin(redis, keys, job.id);
    const commitAs = (by: typeof attempt): Promise<CommitAnswer> =>
      commit(redis, keys, { attempt: by, outcome: { status: 'failed', failure } });
    assert.equal(await commitAs(zombie), 'fenced');
    assert.equal(await commit(redis, keys, { attempt, outcome: succeeded }), 'ok');
    assert.equal(await commitAs(zombie), 'final');
    assert.equal(await commitAs(attempt), 'final');
    assert.equal((await store.get('acme', job.id))?.status, 'succeeded');
    assert.deepEqual(await claim(redis, keys, { jobId: job.id, round: 0, worker: 'w' }), { kind: 'final' });
    assert.equal(await redis.xlen(keys.outbox), 1, 'one event');
    await redis.del(keys.record(job.id));
    assert.equal(await commitAs(attempt), 'missing');
    assert.deepEqual(await claim(redis, keys, { jobId: job.id, round: 0, worker: 'w' }), { kind: 'missing' });
  }));

test('a death is held against a job only if it had begun, and never by the worker that is still alive', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob();
    await store.submit(job);
    const attemptBy = async (worker: string) => {
      const claimed = await claim(redis, keys, { jobId: job.id, round: 0, worker });
      return claimed.kind === 'claimed' ? claimed.attempt : assert.fail(claimed.kind);
    };
    await attemptBy('one');
    const second = await attemptBy('two');
    assert.equal(second.crashes, 0, 'it only waited for its turn');
    await noteBegun(redis, keys, { attempt: second, worker: 'two' });
    assert.equal((await attemptBy('two')).crashes, 0, 'it only lost its lock');
    const fourth = await attemptBy('three');
    await noteBegun(redis, keys, { attempt: fourth, worker: 'three' });
    assert.equal((await attemptBy('four')).crashes, 1);
  }));

test('an attempt after one that died counts a crash, an attempt after one that was released does not', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob();
    await store.submit(job);
    await begin(redis, keys, job.id);
    const second = await begin(redis, keys, job.id);
    assert.deepEqual([second.number, second.crashes], [2, 1]);
    await release(redis, keys, second);
    assert.equal((await store.get('acme', job.id))?.status, 'queued');
    assert.equal(await commit(redis, keys, { attempt: second, outcome: succeeded }), 'fenced', 'released');
    const third = await begin(redis, keys, job.id);
    assert.deepEqual([third.number, third.crashes], [3, 1]);
    await release(redis, keys, second);
    assert.equal((await store.get('acme', job.id))?.status, 'running', 'released by a stranger');
  }));

test('a job whose producer dies before handing it over reaches the queue all the same', () =>
  withQueue(async ({ store, redis, keys }) => {
    const orphan = newJob();
    const nowMs = Date.now();
    const answer = await createJob(redis, keys, { job: orphan, limits: testLimits, nowMs });
    assert.equal(answer.kind, 'direct');
    assert.equal(await redis.pttl(keys.record(orphan.id)), -1, 'its record stays');
    assert.equal((await store.counts()).waiting, 0);
    const queue = openDocumentsQueue(redis, keys, () => {});
    assert.equal(await feed({ redis, keys, queue }), 0, 'its producer may still do it');
    await redis.zadd(keys.feeding, nowMs - 1, orphan.id);
    assert.equal(await feed({ redis, keys, queue }), 1);
    assert.equal((await store.counts()).waiting, 1);
    assert.equal(await feed({ redis, keys, queue }), 0, 'the lease is done with');
    await queue.close();
  }));

test('who adds a job late ends no lease of a later round', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob();
    await store.submit(job);
    const outcome = { status: 'failed', failure } as const;
    await commit(redis, keys, { attempt: await begin(redis, keys, job.id), outcome });
    assert.equal((await retryJob(redis, keys, { tenant: 'acme', jobId: job.id })).kind, 'queued');
    // What a producer or feeder of the first round does that was frozen until now.
    await redis.zrem(keys.feeding, bullIdOf(job.id, 0));
    const queue = openDocumentsQueue(redis, keys, () => {});
    assert.equal(await feed({ redis, keys, queue }), 1);
    assert.ok(await queue.getJob(bullIdOf(job.id, 1)), 'the second round is in the queue');
    assert.equal(await redis.zcard(keys.feeding), 0);
    await queue.close();
  }));

test('a submission that the connection sent twice is accepted once', () =>
  withQueue(async ({ store }) => {
    const job = newJob();
    await store.submit(job);
    const again = await store.submit(job);
    assert.deepEqual([again.record.id, again.usage.jobs], [job.id, 1]);
    assert.equal((await store.counts()).waiting, 1);
  }));

test('a worker and an API whose clocks are wrong by hours shorten no lifetime and prolong no lease', async (t) => {
  await withQueue(async ({ store, redis, keys }) => {
    const job = newJob({ ttlSeconds: 60 });
    await store.submit(job);
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() - 7_200_000 });
    await commit(redis, keys, { attempt: await begin(redis, keys, job.id), outcome: succeeded });
    t.mock.timers.setTime(Date.now() + 2 * 7_200_000);
    const orphan = newJob();
    await createJob(redis, keys, { job: orphan, limits: testLimits, nowMs: Date.now() });
    t.mock.timers.reset();
    const ttlMs = await redis.pttl(keys.record(job.id));
    assert.ok(ttlMs > 50_000 && ttlMs <= 60_000, `the record lives ${ttlMs} ms`);
    assert.deepEqual(await store.result('acme', job.id), succeeded.result);
    const leaseMs = Number(await redis.zscore(keys.feeding, orphan.id)) - Date.now();
    assert.ok(leaseMs > 0 && leaseMs <= 5000, `the lease lasts ${leaseMs} ms`);
  });
});

test('a tenant’s jobs are listed newest first, by pages, by state and by time', () =>
  withQueue(async ({ store, redis, keys }) => {
    const jobs = [];
    for (let index = 0; index < 25; index += 1) {
      const job = newJob({ metadata: { index: String(index) } });
      await store.submit(job);
      jobs.push(job);
    }
    await store.submit(newJob({}, 'other'));
    const newestFirst = jobs.map(({ id }) => id).reverse();
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const { records, nextCursor } = await store.list('acme', { limit: 10, cursor });
      seen.push(...records.map(({ id }) => id));
      cursor = nextCursor ?? undefined;
      pages += 1;
    } while (cursor !== undefined);
    assert.deepEqual(seen, newestFirst);
    assert.equal(pages, 3);

    const chosen = [jobs[3], jobs[17]].flatMap((job) => (job === undefined ? [] : [job.id]));
    for (const id of chosen) await begin(redis, keys, id);
    const running = await store.list('acme', { limit: 10, status: 'running' });
    assert.deepEqual(
      running.records.map(({ id }) => id),
      chosen.reverse(),
    );
    assert.equal(running.nextCursor, null);

    const middle = (await store.get('acme', jobs[12]?.id ?? ''))?.createdAtMs ?? 0;
    const before = await store.list('acme', { limit: 100, createdBeforeMs: middle });
    const sinceThen = await store.list('acme', { limit: 100, createdAfterMs: middle });
    assert.ok(
      before.records.every(({ createdAtMs }) => createdAtMs <= middle),
      'outside of the time asked for',
    );
    assert.ok(
      sinceThen.records.every(({ createdAtMs }) => createdAtMs >= middle),
      'outside of the time asked for',
    );
    const both = new Set([...before.records, ...sinceThen.records].map(({ id }) => id));
    assert.equal(both.size, 25);
    const paged: string[] = [];
    for (let next: string | null | undefined; next !== null; ) {
      const page = await store.list('acme', { limit: 5, createdBeforeMs: middle, cursor: next });
      paged.push(...page.records.map(({ id }) => id));
      next = page.nextCursor;
    }
    assert.deepEqual(
      paged,
      before.records.map(({ id }) => id),
    );
    await assert.rejects(store.list('acme', { limit: 5, cursor: newId('job') }), RangeError);
    assert.deepEqual((await store.list('nobody', { limit: 5 })).records, []);
  }));

test('waiting for the end is over when the job ends, when it has ended, and when the time is', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob();
    await store.submit(job);
    const took = async (wait: Promise<void>) => {
      const begunMs = performance.now();
      await wait;
      return performance.now() - begunMs;
    };
    const timedOutMs = await took(store.waitForEnd(job.id, { timeoutMs: 150 }));
    assert.ok(timedOutMs >= 100 && timedOutMs < 1000, `${timedOutMs}`);

    const attempt = await begin(redis, keys, job.id);
    const waiting = [1, 2, 3].map(() => took(store.waitForEnd(job.id, { timeoutMs: 10_000 })));
    const aborter = new AbortController();
    const aborted = took(store.waitForEnd(job.id, { timeoutMs: 10_000, signal: aborter.signal }));
    await until('subscription', async () => {
      const [, listeners] = await redis.pubsub('NUMSUB', keys.changed(job.id));
      return Number(listeners) > 0;
    });
    aborter.abort();
    assert.ok((await aborted) < 2000, 'it took too long');
    await commit(redis, keys, { attempt, outcome: succeeded });
    for (const ms of await Promise.all(waiting)) assert.ok(ms < 2000, `${ms}`);
    assert.ok((await took(store.waitForEnd(job.id, { timeoutMs: 10_000 }))) < 1000, 'has ended');
    const unknown = newId('job');
    assert.ok((await took(store.waitForEnd(unknown, { timeoutMs: 10_000 }))) < 1000, 'is not there');
    assert.ok(
      (await took(store.waitForEnd(unknown, { timeoutMs: 9000, signal: AbortSignal.abort() }))) < 1000,
    );
    await until('no subscription left', async () => {
      const [, listeners] = await redis.pubsub('NUMSUB', keys.changed(job.id));
      return Number(listeners) === 0;
    });
  }));

test('one job more than may wait is refused, and leaves nothing behind', () =>
  withQueue(
    async ({ store, redis, keys }) => {
      await store.submit(newJob());
      await store.submit(newJob({ priority: 'low' }));
      await store.submit(newJob({ priority: 'high' }));
      const refused = newJob();
      await assert.rejects(
        store.submit(refused),
        (error) => error instanceof QueueFull && error.reason === 'depth' && error.retryAfterSeconds > 0,
      );
      assert.equal(await redis.exists(keys.record(refused.id)), 0);
      assert.equal(await redis.zscore(keys.tenantJobs('acme'), refused.id), null);
    },
    { maxWaiting: 3 },
  ));

test('while Redis is stopped or gone every call ends in QueueUnavailable within 2.5 s', async () => {
  const own = await startTestRedis();
  const store = await openJobStore(
    { url: own.url, shard: newShard() },
    { limits: testLimits, onError: () => {}, onWarning: () => {} },
  );
  const job = newJob();
  await store.submit(job);
  const refusals = async () => {
    const begunMs = performance.now();
    const calls = [
      store.submit(newJob()),
      store.get('acme', job.id),
      store.list('acme', { limit: 1 }),
      store.result('acme', job.id),
      store.models(),
      store.counts(),
      store.ping(),
    ];
    await Promise.all(calls.map((call) => assert.rejects(call, QueueUnavailable)));
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs < 2500, `${tookMs} ms`);
  };
  try {
    process.kill(own.pid, 'SIGSTOP');
    await refusals();
    process.kill(own.pid, 'SIGCONT');
    await until('it is back', () =>
      store.ping().then(
        () => true,
        () => false,
      ),
    );
    await own.stop();
    await refusals();
    await store.waitForEnd(job.id, { timeoutMs: 200 });
  } finally {
    await own.stop();
    await store.close();
  }
});

test('at 80 % of its memory nothing more is accepted', async () => {
  const own = await startTestRedis(['--maxmemory', '16mb']);
  const address = { url: own.url, shard: newShard() };
  const store = await openJobStore(address, { limits: testLimits, onError: () => {}, onWarning: () => {} });
  const redis = connectConsumer(own.url, () => {});
  try {
    for (let index = 0; index < 130; index += 1) await redis.set(`ballast:${index}`, Buffer.alloc(90_000));
    await assert.rejects(
      store.submit(newJob()),
      (error) => error instanceof QueueFull && error.reason === 'memory',
    );
  } finally {
    redis.disconnect();
    await store.close();
    await own.stop();
  }
});

test('a Redis that may throw jobs away is refused', async () => {
  const own = await startTestRedis(['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru']);
  try {
    const starting = startConsumer({
      address: { url: own.url, shard: newShard() },
      concurrency: 1,
      handler: async () => succeeded,
      models: () => [],
      onAttempt: () => {},
      onWarning: () => {},
    });
    const opening = openJobStore(
      { url: own.url, shard: newShard() },
      { limits: testLimits, onError: () => {}, onWarning: () => {} },
    );
    const isRefusal = (error: unknown) =>
      error instanceof RedisPolicyError && /allkeys-lru/.test(error.message);
    await Promise.all([starting, opening].map((refused) => assert.rejects(refused, isRefusal)));
  } finally {
    await own.stop();
  }
});
