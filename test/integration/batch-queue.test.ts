// Batches as the queue keeps them, step by step.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { BatchEntry } from '@glyphmill/contract/batch-plan';
import { newId } from '@glyphmill/contract/id';
import { claim, commit, type Outcome } from '@glyphmill/queue/attempt';
import { batchJobId, batchJobIds } from '@glyphmill/queue/batch-job-id';
import { bulkLimits, makeJobs } from '@glyphmill/queue/batch-jobs';
import { holdLease, takeBatches } from '@glyphmill/queue/batch-lease';
import { sweepJobs } from '@glyphmill/queue/batch-sweep';
import { startBatchWorker } from '@glyphmill/queue/batch-worker';
import { openDocumentsQueue } from '@glyphmill/queue/documents-queue';
import { feed, shortQueue } from '@glyphmill/queue/feeder';
import { newJob, startTestRedis, succeeded, type TestQueue, until, withTestQueue } from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const limits = { maxWaiting: 10_000, tenant: { jobs: 10_000, pages: 1000, megapixels: 1000 } };
const failure = { code: 'internal', message: 'no', retryable: false, phase: 'decode' } as const;
const failed: Outcome = { status: 'failed', failure };

const withQueue = (run: (queue: TestQueue) => Promise<void>) => withTestQueue(server.url, run, limits);

function entriesOf(count: number): BatchEntry[] {
  return Array.from({ length: count }, (_, index) => {
    const { document, inline, options, metadata } = newJob().task;
    return { index, document: { ...document, key: `${index}.png` }, inline, options, metadata };
  });
}

/** Takes a batch of so many items, that nobody has worked on yet. */
async function createBatch({ store }: TestQueue, count: number, tenant = 'acme') {
  const id = newId('bat');
  const { task } = newJob();
  const plan = { source: { type: 'items', count } as const, task, deadlineMs: null };
  const entries = entriesOf(count);
  const receiver = { url: 'https://hooks.example/', endpointIds: null };
  await store.batches.create({ id, tenant, plan, entries, rejected: [], receiver });
  return id;
}

async function get({ store }: TestQueue, id: string, tenant = 'acme') {
  return (await store.batches.get(tenant, id)) ?? assert.fail(`there is no batch ${id}`);
}

/** What a worker of batches holds. */
function openContext({ redis, keys }: TestQueue) {
  const queue = openDocumentsQueue(redis, keys, () => {});
  return { redis, keys, queue, limits: bulkLimits(limits) };
}

const startWorker = ({ address }: TestQueue) =>
  startBatchWorker({
    address,
    limits,
    read: () => assert.fail('these batches are made of items'),
    onError: assert.fail,
  });

async function end({ redis, keys }: TestQueue, jobId: string, outcome: Outcome = succeeded): Promise<void> {
  const round = Number((await redis.hget(keys.record(jobId), 'round')) ?? 0);
  const claimed = await claim(redis, keys, { jobId, round, worker: 'w' });
  assert.ok(claimed.kind === 'claimed', claimed.kind);
  assert.equal(await commit(redis, keys, { attempt: claimed.attempt, outcome }), 'ok');
}

const completions = ({ redis, keys }: TestQueue) => redis.xlen(keys.outbox);

test('jobs that were made already are not made again, not even when they have ended and been forgotten', () =>
  withQueue(async (queue) => {
    const { redis, keys } = queue;
    const id = await createBatch(queue, 250);
    const batch = await get(queue, id);
    const context = openContext(queue);
    const entries = entriesOf(250);
    assert.deepEqual(await makeJobs(context, batch, entries.slice(0, 100)), { made: 100, short: null });
    const [first, second] = batchJobIds(id, { from: 0, to: 2 });
    await end(queue, first ?? '');
    await end(queue, second ?? '');
    await redis.del(keys.record(second ?? ''));
    assert.deepEqual(await makeJobs(context, batch, entries), { made: 150, short: null });
    const { counts, jobs } = await get(queue, id);
    assert.deepEqual([counts.queued, counts.succeeded, jobs], [248, 2, 250]);
    assert.equal(await redis.exists(keys.record(second ?? '')), 0, 'it was made again');
    assert.ok((await context.queue.getJobCounts('prioritized')).prioritized === shortQueue, 'direct ones');
    assert.equal(await redis.zcard(keys.feeding), 0, 'leases left');
    await context.queue.close();
  }));

test('whichever comes last, the end of the last job or that of its making, completes the batch, once', () =>
  withQueue(async (queue) => {
    const { redis, keys } = queue;
    const context = openContext(queue);
    for (const isMadeFirst of [true, false]) {
      const id = await createBatch(queue, 2);
      const before = await completions(queue);
      const token = newId('wrk');
      assert.deepEqual(await takeBatches(redis, keys, { token, most: 1 }), [id]);
      const lease = holdLease(redis, keys, {
        batchId: id,
        token,
        stop: new AbortController(),
        onError: assert.fail,
      });
      await makeJobs(context, await get(queue, id), entriesOf(2));
      await end(queue, batchJobId(id, 0));
      if (isMadeFirst) await lease.endIngest({ state: 'done' });
      assert.equal((await get(queue, id)).finishedAtMs, null);
      await end(queue, batchJobId(id, 1), failed);
      assert.equal(await completions(queue), before + (isMadeFirst ? 1 : 0));
      if (!isMadeFirst) await lease.endIngest({ state: 'done' });
      lease.close();
      const { finishedAtMs, counts } = await get(queue, id);
      assert.ok(finishedAtMs !== null, 'it did not complete');
      assert.deepEqual([counts.succeeded, counts.failed], [1, 1]);
      assert.equal(await completions(queue), before + 1);
      assert.equal(await redis.exists(keys.batchItems(id), `${keys.prefix}:batch-made:${id}`), 0);
    }
    assert.equal(await redis.exists(keys.batchWork, `${keys.prefix}:batches-ingesting`), 0);
    await context.queue.close();
  }));

test('two processes at work on the same batches do nothing twice', () =>
  withQueue(async (queue) => {
    const { redis, keys } = queue;
    const workers = [await startWorker(queue), await startWorker(queue)];
    const ids = await Promise.all(
      ['a', 'b', 'c', 'a', 'b', 'c'].map((name) => createBatch(queue, 900, name)),
    );
    for (const [index, id] of ids.entries()) {
      const tenant = ['a', 'b', 'c'][index % 3] ?? '';
      await until('its jobs', async () => (await get(queue, id, tenant)).ingest === 'done', 60_000);
      assert.equal((await get(queue, id, tenant)).counts.queued, 900);
    }
    for (const tenant of ['a', 'b', 'c']) assert.equal(await redis.zcard(keys.tenantJobs(tenant)), 1800);
    await Promise.all(workers.map((worker) => worker.close()));
  }));

test('a batch canceled while its jobs are being made makes no more of them', () =>
  withQueue(async (queue) => {
    const id = await createBatch(queue, 20);
    const batch = await get(queue, id);
    const context = openContext(queue);
    await makeJobs(context, batch, entriesOf(10));
    assert.equal(await queue.store.batches.order('other', id, 'cancel'), 'missing');
    assert.equal(await queue.store.batches.order('acme', id, 'cancel'), 'ok');
    assert.deepEqual(await makeJobs(context, batch, entriesOf(20).slice(10)), { made: 0, short: 'closed' });
    const claimed = await claim(queue.redis, queue.keys, { jobId: batchJobId(id, 3), round: 0, worker: 'w' });
    assert.equal(claimed.kind, 'canceling', 'one of them begins');
    const worker = await startWorker(queue);
    await until('nine canceled', async () => (await get(queue, id)).counts.canceled === 9);
    assert.ok(claimed.kind === 'canceling');
    await commit(queue.redis, queue.keys, { attempt: claimed.attempt, outcome: { status: 'canceled' } });
    const { finishedAtMs, cancelAtMs, counts } = await get(queue, id);
    assert.ok(finishedAtMs !== null && cancelAtMs !== null, 'it did not complete');
    assert.equal(counts.canceled, 10);
    assert.equal(await completions(queue), 1);
    assert.equal(await queue.store.batches.order('acme', id, 'cancel'), 'final');
    // The names of canceled jobs leave the backlog without taking anybody's turn.
    await until('an empty backlog', async () => {
      await feed(context);
      return Number((await queue.redis.get(queue.keys.backlogSize)) ?? 0) === 0;
    });
    await worker.close();
    await context.queue.close();
  }));

test('a thousand failed jobs tried again wait their tenant’s turn, as new ones do', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const id = await createBatch(queue, 1000);
    const worker = await startWorker(queue);
    await until('its jobs', async () => (await get(queue, id)).ingest === 'done');
    for (const jobId of batchJobIds(id, { from: 0, to: 1000 })) await end(queue, jobId, failed);
    assert.equal(await completions(queue), 1);
    const context = openContext(queue);
    await until('all to leave the queue', async () => {
      await feed(context);
      await context.queue.drain();
      return Number(await redis.get(keys.backlogSize)) === 0;
    });
    assert.equal(await store.batches.order('acme', id, 'retry'), 'ok');
    await until('all queued again', async () => (await get(queue, id)).counts.queued === 1000);
    const { waiting } = await store.counts();
    const backlog = Number(await redis.get(keys.backlogSize));
    assert.ok(backlog >= 1000 - shortQueue, `${backlog} in the backlog, ${waiting} waiting`);
    await until('the work to be done', async () => (await redis.zcard(keys.batchWork)) === 0);
    assert.equal((await get(queue, id)).finishedAtMs, null, 'completed while all are open');
    await worker.close();
    await context.queue.close();
  }));

test('jobs that end again before the last failed one is tried again do not complete the batch', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const id = await createBatch(queue, 150);
    const worker = await startWorker(queue);
    await until('its jobs', async () => (await get(queue, id)).ingest === 'done');
    await worker.close();
    const ids = batchJobIds(id, { from: 0, to: 150 });
    for (const jobId of ids) await end(queue, jobId, failed);
    assert.equal(await completions(queue), 1);
    assert.equal(await store.batches.order('acme', id, 'retry'), 'ok');
    const token = newId('wrk');
    assert.deepEqual(await takeBatches(redis, keys, { token, most: 1 }), [id]);
    const stop = new AbortController();
    const lease = holdLease(redis, keys, { batchId: id, token, stop, onError: assert.fail });
    const context = openContext(queue);
    const batch = await get(queue, id);
    await sweepJobs(context, batch, { from: 0, to: 100 });
    for (const jobId of ids.slice(0, 100)) await end(queue, jobId);
    assert.equal((await get(queue, id)).finishedAtMs, null);
    await sweepJobs(context, batch, { from: 100, to: 150 });
    await lease.endSweep();
    lease.close();
    for (const jobId of ids.slice(100)) await end(queue, jobId);
    const { counts, finishedAtMs } = await get(queue, id);
    assert.deepEqual([counts.succeeded, counts.failed], [150, 0]);
    assert.ok(finishedAtMs !== null, 'it did not complete');
    assert.equal(await completions(queue), 2);
    await context.queue.close();
  }));

test('the list of a tenant’s batches forgets those that have expired', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const ids = [];
    for (let count = 0; count < 5; count += 1) ids.push(await createBatch(queue, 1));
    for (const id of ids.slice(0, 3)) await redis.del(keys.batch(id));
    const { records } = await store.batches.list('acme', { limit: 10 });
    assert.deepEqual(
      records.map(({ id }) => id),
      ids.slice(3).reverse(),
    );
    await createBatch(queue, 1);
    assert.equal(await redis.zcard(keys.tenantBatches('acme')), 3);
  }));
