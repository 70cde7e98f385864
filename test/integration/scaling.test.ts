// The signal that the number of workers follows: from the queue as it stands, through the API and as metrics.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Attempt, commit, release, reportProgress } from '@glyphmill/queue/attempt';
import { startConsumer } from '@glyphmill/queue/consumer';
import { createJobs } from '@glyphmill/queue/create';
import { announceRate, scalingOf, withdrawRate } from '@glyphmill/queue/scaling';
import { z } from 'zod';
import { type Api, type Stores, startApi, startStores } from './api-setup.ts';
import { begin, newJob, succeeded, type TestQueue, testLimits, until, withTestQueue } from './queue-setup.ts';

let stores: Stores;
let api: Api;
before(async () => {
  stores = await startStores();
  api = await startApi(stores, { SCALING_TARGET_SECONDS: '60' });
});
after(async () => {
  await api.close();
  await stores.stop();
});

const settings = { targetSeconds: 100, defaultPagesPerSecond: 2 };
const manyLimits = { maxWaiting: 100_000, tenant: { jobs: 100_000, pages: 100_000, megapixels: 1e6 } };
const withQueue = (run: (queue: TestQueue) => Promise<void>) =>
  withTestQueue(stores.redis.url, run, manyLimits);

async function pagesOf({ redis, keys }: TestQueue, attempt: Attempt, pagesTotal: number, pagesDone = 0) {
  await reportProgress(redis, keys, {
    attempt,
    pages: { pagesTotal, pagesDone, pagesFailed: 0, megapixels: 1 },
  });
}

test('without workers and before the first page the default rate counts, and a job for one page', () =>
  withQueue(async ({ store }) => {
    const nothing = { backlogSeconds: 0, backlogPages: 0, desiredReplicas: 0, workers: 0, paused: false };
    assert.deepEqual(await store.scaling(settings), { ...nothing, ratePagesPerSecond: 2 });
    for (const tenant of ['ada', 'bob']) await store.submit(newJob({}, tenant));
    const { backlogPages, backlogSeconds, desiredReplicas } = await store.scaling(settings);
    assert.deepEqual(
      { backlogPages, backlogSeconds, desiredReplicas },
      {
        backlogPages: 2,
        backlogSeconds: 1,
        desiredReplicas: 1,
      },
    );
  }));

test('a document of 3,000 pages and 3,000 documents of one page ask for the same number of replicas', () =>
  withQueue(async (many) => {
    const { redis, keys, store } = many;
    const jobs = Array.from({ length: 3000 }, (_, index) => newJob({}, `tenant-${index % 7}`));
    await createJobs(redis, keys, { jobs, limits: manyLimits, nowMs: Date.now() });
    const documents = await store.scaling(settings);
    assert.equal(documents.backlogPages, 3000);

    await withQueue(async (one) => {
      const job = newJob();
      await one.store.submit(job);
      await pagesOf(one, await begin(one.redis, one.keys, job.id), 3000);
      const pages = await one.store.scaling(settings);
      assert.equal(pages.desiredReplicas, documents.desiredReplicas);
      assert.deepEqual(pages, { ...documents, backlogPages: 3000 });
    });
  }));

test('pages that have been read, and jobs that have ended or were canceled, are no backlog; those given back are', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const [read, waiting] = [newJob(), newJob()];
    for (const job of [read, waiting]) await store.submit(job);
    const pages = async () => (await store.scaling(settings)).backlogPages;
    const attempt = await begin(redis, keys, read.id);
    await pagesOf(queue, attempt, 40, 30);
    assert.equal(await pages(), 10 + 40, 'the unopened one counts as the mean of those opened');
    await store.cancel('acme', waiting.id);
    assert.equal(await pages(), 10);
    await release(redis, keys, attempt);
    assert.equal(await pages(), 40);
    const again = await begin(redis, keys, read.id);
    await pagesOf(queue, again, 40, 39);
    assert.equal(await pages(), 1);
    await commit(redis, keys, { attempt: again, outcome: succeeded });
    assert.equal(await pages(), 0);
    assert.deepEqual(await redis.hgetall(keys.load), {});
  }));

test('while the queue is paused nothing asks for workers, and all of it does once it is resumed', () =>
  withQueue(async ({ store }) => {
    for (let count = 0; count < 10; count += 1) await store.submit(newJob());
    await store.pauseQueue('documents');
    const { backlogSeconds, desiredReplicas, backlogPages, paused } = await store.scaling(settings);
    assert.deepEqual(
      { backlogSeconds, desiredReplicas, backlogPages, paused },
      {
        backlogSeconds: 0,
        desiredReplicas: 0,
        backlogPages: 10,
        paused: true,
      },
    );
    await store.resumeQueue('documents');
    assert.equal((await store.scaling(settings)).desiredReplicas, 1);
  }));

test('the rate is the mean of the workers that are there, and outlives the last of them', () =>
  withQueue(async ({ redis, keys, store }) => {
    const told = async () => {
      const { workers, ratePagesPerSecond } = await store.scaling(settings);
      return { workers, ratePagesPerSecond };
    };
    await announceRate(redis, keys, { worker: 'new', pagesPerSecond: undefined });
    assert.deepEqual(await told(), { workers: 1, ratePagesPerSecond: 2 });
    await announceRate(redis, keys, { worker: 'a', pagesPerSecond: 4 });
    await announceRate(redis, keys, { worker: 'b', pagesPerSecond: 8 });
    assert.deepEqual(await told(), { workers: 3, ratePagesPerSecond: 6 });
    // One that died says nothing any more: its word is as old as it would be in a minute.
    await redis.hset(keys.rates, 'b', `${Date.now() - 60_000} 8`);
    assert.deepEqual(await told(), { workers: 2, ratePagesPerSecond: 4 });
    for (const worker of ['a', 'new']) await withdrawRate(redis, keys, worker);
    assert.deepEqual(await told(), { workers: 0, ratePagesPerSecond: 8 });
  }));

test('a worker is counted from its start to its end, with the rate that it tells', () =>
  withQueue(async ({ address, store }) => {
    const worker = await startConsumer({
      address,
      concurrency: 1,
      handler: async () => succeeded,
      models: () => [],
      pagesPerSecond: () => 12.5,
      onAttempt: () => {},
      onWarning: () => {},
    });
    const { workers, ratePagesPerSecond } = await store.scaling(settings);
    assert.deepEqual({ workers, ratePagesPerSecond }, { workers: 1, ratePagesPerSecond: 12.5 });
    await worker.close(0);
    assert.equal((await store.scaling(settings)).workers, 0);
  }));

test('asking for it costs the queue little, with 1,000 tenants in the backlog and 200 workers', () =>
  withQueue(async ({ redis, keys, store }) => {
    const jobs = Array.from({ length: 3000 }, (_, index) => newJob({}, `tenant-${index % 1000}`));
    await createJobs(redis, keys, { jobs, limits: { ...testLimits, maxWaiting: 10_000 }, nowMs: Date.now() });
    for (let worker = 0; worker < 200; worker += 1) {
      await announceRate(redis, keys, { worker: `wrk-${worker}`, pagesPerSecond: 3 });
    }
    await redis.config('RESETSTAT');
    for (let count = 0; count < 20; count += 1) {
      await Promise.all([store.scaling(settings), store.queueState('documents')]);
    }
    const stats = await redis.info('commandstats');
    const calls = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(stats);
    const microseconds = Number(calls?.[2]) / (Number(calls?.[1]) / 2);
    assert.ok(microseconds < 5000, `${microseconds} µs of Redis each time`);
  }));

test('at 0 replicas and above, the number asked for does not depend on how many there are', () => {
  const load = {
    openJobs: 100,
    knownJobs: 10,
    knownPages: 55,
    documents: 40,
    documentPages: 100,
    paused: false,
    measuredWorkers: 0,
    sumOfRates: 0,
    lastRate: 0.5,
  };
  for (const workers of [0, 1, 50]) {
    const scaling = scalingOf({ ...load, workers }, settings);
    assert.equal(scaling.backlogPages, 55 + 90 * 2.5);
    assert.equal(scaling.desiredReplicas, Math.ceil(280 / 0.5 / settings.targetSeconds));
  }
});

const scalingSchema = z.strictObject({
  object: z.literal('queue.scaling'),
  name: z.literal('documents'),
  backlogSeconds: z.number(),
  backlogPages: z.number(),
  oldestAgeSeconds: z.number().nullable(),
  ratePagesPerSecond: z.number(),
  workers: z.number(),
  paused: z.boolean(),
  desiredReplicas: z.number(),
});

test('the API gives it to a key of its own scope, which may do nothing else, and to the operator', async () => {
  const autoscaler = api.caller({ scopes: ['scaling:read'] });
  const path = '/v1/queues/documents/scaling';
  const empty = scalingSchema.parse((await autoscaler.get(path)).json());
  assert.equal(empty.oldestAgeSeconds, null);
  assert.equal(empty.desiredReplicas, 0);
  await api.caller().submit();
  const scaling = scalingSchema.parse((await autoscaler.get(path)).json());
  assert.ok(scaling.oldestAgeSeconds !== null && scaling.oldestAgeSeconds < 60);
  assert.deepEqual(
    { ...scaling, oldestAgeSeconds: null },
    {
      ...empty,
      backlogPages: 1,
      backlogSeconds: 1,
      desiredReplicas: 1,
    },
  );
  await autoscaler.refused('insufficient-scope', 'GET', '/v1/queues');
  await autoscaler.refused('insufficient-scope', 'GET', '/v1/jobs');
  await autoscaler.refused('not-found', 'GET', '/v1/queues/deliveries/scaling');
  const user = api.caller({ scopes: ['jobs:read', 'jobs:write'] });
  await user.refused('insufficient-scope', 'GET', path);
});

test('the API’s metrics say the same, and say nothing while Redis is away', async () => {
  const own = await startApi(stores);
  const caller = own.caller();
  await caller.submit();
  const text = await own.metrics.registry.metrics();
  const value = (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (.+)$`, 'm').exec(text)?.[1]);
  assert.equal(value('ocr_queue_jobs{state="waiting"}'), 1);
  assert.equal(value('ocr_backlog_pages{queue="documents"}'), 1);
  assert.equal(value('ocr_backlog_seconds{queue="documents"}'), 1);
  assert.equal(value('ocr_desired_replicas{queue="documents"}'), 1);
  assert.equal(value('ocr_workers{queue="documents"}'), 0);
  assert.equal(value('ocr_queue_paused{queue="documents"}'), 0);
  assert.equal(value('ocr_webhook_oldest_age_seconds{queue="deliveries"}'), 0);
  const age = value('ocr_oldest_waiting_age_seconds{queue="documents"}');
  assert.ok(age >= 0 && age < 60, `${age}`);
  await own.close();
  const silent = await until('no more answers', async () => {
    const later = await own.metrics.registry.metrics();
    return !later.includes('ocr_backlog_seconds{') && later;
  });
  assert.match(silent, /^process_cpu_seconds_total/m);
});
