// What a batch must come through while its jobs are being made: every line becomes one job, and none becomes two.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { batchLimits } from '@glyphmill/contract/batch-request';
import { startRedis } from '@glyphmill/embedded/redis';
import type { Fault } from '@glyphmill/embedded/s3-faults';
import { holdLease, LeaseLost } from '@glyphmill/queue/batch-lease';
import { connectConsumer, type Redis } from '@glyphmill/queue/connection';
import { type Keys, keysOf } from '@glyphmill/queue/keys';
import {
  type Api,
  type Caller,
  cacheDir,
  inlineResult,
  outcomeOf,
  type Stores,
  startApi,
  startStores,
  startWorker,
} from './api-setup.ts';
import { batchOnce, getBatch, ingested, manifestOf, s3Item, submitBatch } from './batch-setup.ts';
import { until } from './queue-setup.ts';

let stores: Stores;
let api: Api;
let caller: Caller;
let redis: Redis;
let keys: Keys;
/** What the store does to a read of an object whose key begins with `faulty`. */
let faultOf: () => Fault | undefined = () => undefined;

const manyJobs = { TENANT_MAX_JOBS: '100000', MAX_WAITING_JOBS: '100000' };

before(async () => {
  stores = await startStores(({ operation, key }) =>
    operation === 'GetObject' && key.startsWith('faulty') ? faultOf() : undefined,
  );
  api = await startApi(stores, manyJobs);
  redis = connectConsumer(api.address.url, () => {});
  keys = keysOf(api.address.shard);
});
after(async () => {
  redis.disconnect();
  await api.close();
  await stores.stop();
});

let tenants = 0;
beforeEach(() => {
  tenants += 1;
  caller = api.caller({ tenant: `t${tenants}` });
  faultOf = () => undefined;
});

const slowDown: Fault = { status: 503, code: 'SlowDown' };

async function submitManifest(key: string, body: string | Buffer, by: Caller = caller): Promise<string> {
  await api.put('in-box', key, body);
  return (await submitBatch(by, { manifest: { bucket: 'in-box', key } })).id;
}

/** The tenant's jobs, of which there must be no more than the batch counts. */
async function expectJobs(id: string, count: number): Promise<void> {
  const batch = await getBatch(caller, id);
  assert.deepEqual([batch.jobCount, batch.counts.queued, batch.rejectedCount], [count, count, 0]);
  assert.equal(await redis.zcard(keys.tenantJobs(`t${tenants}`)), count, 'jobs of the tenant');
}

test('a store that cuts the manifest off and then is away for a while only delays its jobs', async () => {
  let reads = 0;
  const faults: (Fault | undefined)[] = [
    { truncateAt: 120_000 },
    { truncateAt: 60_000 },
    ...Array(6).fill(slowDown),
  ];
  faultOf = () => {
    reads += 1;
    return faults[reads - 1];
  };
  const id = await submitManifest('faulty-store.jsonl', manifestOf(2500));
  const waiting = await batchOnce(caller, id, ({ ingest }) => ingest.waitingFor === 'storage-unavailable');
  assert.deepEqual([waiting.status, waiting.ingest.state], ['ingesting', 'waiting']);
  const done = await ingested(caller, id);
  assert.deepEqual(done.ingest, { state: 'done', waitingFor: null, error: null, indexed: 2500 });
  assert.ok(reads > faults.length, 'the faults were not met');
  await expectJobs(id, 2500);
});

test('a manifest that is changed, or gone, before it is read is given up with the reason', async () => {
  for (const [change, code] of [
    [() => api.put('in-box', 'faulty-changed.jsonl', manifestOf(3)), 'source-changed'],
    [() => remove('faulty-changed.jsonl'), 'source-not-found'],
  ] as const) {
    faultOf = () => slowDown;
    const id = await submitManifest('faulty-changed.jsonl', manifestOf(50));
    await batchOnce(caller, id, ({ ingest }) => ingest.state === 'waiting');
    await change();
    faultOf = () => undefined;
    const failed = await batchOnce(caller, id, ({ finishedAt }) => finishedAt !== null);
    assert.deepEqual([failed.status, failed.ingest.state, failed.jobCount], ['completed', 'failed', 0]);
    assert.equal(failed.ingest.error?.code, code);
    assert.match(failed.ingest.error?.message ?? '', /faulty-changed/);
  }
  async function remove(key: string): Promise<void> {
    await api.objects.remove({ bucket: 'in-box', key }, { signal: AbortSignal.timeout(5000) });
  }
});

test('a store that has been away for more than a day is given up', async () => {
  faultOf = () => slowDown;
  const id = await submitManifest('faulty-for-ever.jsonl', manifestOf(5));
  await batchOnce(caller, id, ({ ingest }) => ingest.state === 'waiting');
  await redis.hset(keys.batch(id), 'troubleSince', Date.now() - 25 * 3_600_000);
  const failed = await ingested(caller, id);
  assert.deepEqual([failed.ingest.state, failed.ingest.error?.code], ['failed', 'source-unavailable']);
});

test('of a manifest that is too long the lines within the limit become jobs, and it says so', async () => {
  faultOf = () => slowDown;
  const id = await submitManifest('faulty-long.jsonl', manifestOf(10));
  await batchOnce(caller, id, ({ ingest }) => ingest.state === 'waiting');
  // As if all lines but the last ten had been read.
  await redis.hset(keys.batch(id), 'index', batchLimits.manifestLines - 5);
  faultOf = () => undefined;
  const failed = await ingested(caller, id);
  assert.deepEqual([failed.ingest.state, failed.ingest.error?.code], ['failed', 'too-many-items']);
  await expectJobs(id, 5);
});

test('while the queue or the quota is full, jobs wait to be made, and all are in the end', async () => {
  for (const [env, reason] of [
    [{ MAX_WAITING_JOBS: '300' }, 'queue-full'],
    [{ TENANT_MAX_JOBS: '300' }, 'quota-exceeded'],
  ] as const) {
    const small = await startApi(stores, { ...manyJobs, ...env });
    const own = small.caller();
    const id = await submitManifest('queue.jsonl', manifestOf(900), own);
    const waiting = await batchOnce(own, id, ({ ingest }) => ingest.state === 'waiting');
    assert.equal(waiting.ingest.waitingFor, reason);
    assert.equal(waiting.jobCount, 270, 'nine tenths of the room');
    // A single job still finds room.
    await own.submit();
    const worker = await startWorker(small, async ({ jobId }) => outcomeOf(inlineResult(jobId, 'x')));
    const done = await batchOnce(own, id, ({ finishedAt }) => finishedAt !== null);
    assert.deepEqual([done.counts.succeeded, done.jobCount, done.rejectedCount], [900, 900, 0]);
    assert.equal(done.ingest.state, 'done');
    await worker.close();
    await small.close();
  }
});

test('batches are refused, and jobs of others wait to be made, while Redis’s memory is short', async () => {
  faultOf = () => slowDown;
  const id = await submitManifest('faulty-memory.jsonl', manifestOf(500));
  await batchOnce(caller, id, ({ ingest }) => ingest.state === 'waiting');
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  await redis.config('SET', 'maxmemory', Math.round(used / 0.74));
  faultOf = () => undefined;
  await batchOnce(caller, id, ({ ingest }) => ingest.waitingFor === 'memory');
  await until('a refusal', async () => {
    const answer = await caller.call('POST', '/v1/batches', { json: { items: [s3Item('a.png')] } });
    return answer.status === 503 && answer.json();
  });
  await caller.refused('queue-full', 'POST', '/v1/batches', { json: { items: [s3Item('a.png')] } });
  await caller.submit();
  await redis.config('SET', 'maxmemory', 0);
  assert.equal((await ingested(caller, id)).jobCount, 500);
});

test('a process that has lost a batch to another writes nothing more of it', async () => {
  faultOf = () => slowDown;
  const id = await submitManifest('faulty-lost.jsonl', manifestOf(5));
  await batchOnce(caller, id, ({ ingest }) => ingest.state === 'waiting');
  await redis.zadd(keys.batchWork, Date.now() + 60_000, id);
  await redis.hset(keys.batch(id), 'worker', 'wrk_first');
  const stop = new AbortController();
  const options = { batchId: id, token: 'wrk_first', stop, onError: assert.fail };
  const first = holdLease(redis, keys, options);
  const rejected = [{ index: 0, code: 'invalid-json' as const, detail: 'no' }];
  await first.advance({ next: { index: 1, cursor: '10' }, rejected });
  await redis.hset(keys.batch(id), 'worker', 'wrk_second');
  await assert.rejects(first.advance({ next: { index: 2, cursor: '20' }, rejected }), LeaseLost);
  await assert.rejects(first.giveUp(), LeaseLost);
  await assert.rejects(first.endIngest({ state: 'done' }), LeaseLost);
  first.close();
  assert.ok(stop.signal.aborted, 'it was not told to stop');
  const batch = await getBatch(caller, id);
  assert.deepEqual([batch.ingest.indexed, batch.rejectedCount, batch.status], [1, 1, 'ingesting']);
  await caller.call('POST', `/v1/batches/${id}/cancel`);
});

test('Redis killed and restarted in the middle of a batch neither loses nor doubles a job', async () => {
  const own = await startStores();
  const dir = join(own.dir, 'redis');
  const small = await startApi(own, manyJobs);
  const ownCaller = small.caller({ tenant: 'acme' });
  const client = connectConsumer(small.address.url, () => {});
  const ownKeys = keysOf(small.address.shard);
  await small.put('in-box', 'restart.jsonl', manifestOf(6000));
  const { id } = await submitBatch(ownCaller, { manifest: { bucket: 'in-box', key: 'restart.jsonl' } });
  let server = own.redis;
  for (const made of [1500, 3500]) {
    await batchOnce(ownCaller, id, ({ jobCount }) => jobCount >= made);
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
    server = await startRedis({ dir, cacheDir });
    await until('Redis to answer', () =>
      ownCaller.get(`/v1/batches/${id}`).then(({ status }) => status === 200),
    );
  }
  const done = await ingested(ownCaller, id);
  assert.deepEqual([done.ingest.state, done.jobCount, done.counts.queued], ['done', 6000, 6000]);
  assert.equal(await client.zcard(ownKeys.tenantJobs('acme')), 6000);
  client.disconnect();
  await small.close();
  await server.stop();
  await own.stop();
});
