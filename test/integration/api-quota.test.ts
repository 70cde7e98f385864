import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { JobFailure } from '@glyphmill/contract/failure';
import { startRedis } from '@glyphmill/embedded/redis';
import { connectConsumer } from '@glyphmill/queue/connection';
import { z } from 'zod';
import {
  type Api,
  cacheDir,
  inlineResult,
  outcomeOf,
  type Stores,
  s3Source,
  startApi,
  startStores,
  startWorker,
} from './api-setup.ts';
import { until } from './queue-setup.ts';

let stores: Stores;
let api: Api;
before(async () => {
  stores = await startStores();
  api = await startApi(stores, { TENANT_MAX_JOBS: '2', TENANT_MAX_PAGES: '50', TENANT_MAX_MEGAPIXELS: '80' });
});
after(async () => {
  await api.close();
  await stores.stop();
});

const policy = '"jobs";q=2;qu="concurrent-requests", "pages";q=50, "megapixels";q=80';
const json = { source: s3Source };
const quotaOf = (headers: Headers) => [headers.get('ratelimit-policy'), headers.get('ratelimit')];

test('each answer to a submission tells what is left of the quotas, a refusal also when there is more', async () => {
  const caller = api.caller();
  const first = await caller.call('POST', '/v1/jobs', { json, headers: { 'idempotency-key': 'one' } });
  assert.deepEqual(quotaOf(first.headers), [policy, '"jobs";r=1, "pages";r=50, "megapixels";r=80']);
  await caller.submit();
  const again = await caller.call('POST', '/v1/jobs', { json, headers: { 'idempotency-key': 'one' } });
  assert.equal(again.headers.get('idempotent-replayed'), 'true');
  assert.deepEqual(quotaOf(again.headers), [policy, '"jobs";r=0, "pages";r=50, "megapixels";r=80']);
  for (const path of ['/v1/jobs', '/v1/recognize']) {
    const refused = await caller.refused('quota-exceeded', 'POST', path, { json });
    const seconds = refused.headers.get('retry-after');
    assert.match(seconds ?? '', /^[1-9]\d*$/);
    assert.deepEqual(quotaOf(refused.headers), [
      policy,
      `"jobs";r=0;t=${seconds}, "pages";r=50, "megapixels";r=80`,
    ]);
  }
});

test('recognize tells what is left with its result', async () => {
  const worker = await startWorker(api, async ({ jobId }) => outcomeOf(inlineResult(jobId, 'x')));
  try {
    const answer = await api.caller({ tenant: 'sync' }).call('POST', '/v1/recognize', { json });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(quotaOf(answer.headers), [policy, '"jobs";r=1, "pages";r=50, "megapixels";r=80']);
  } finally {
    await worker.close();
  }
});

test('a Redis that may come to evict jobs gets no more of them, and readyz says so', async () => {
  const own = await startRedis({ dir: join(stores.dir, 'evicting'), cacheDir });
  const redis = connectConsumer(own.url, () => {});
  const evicting = await startApi(stores, { REDIS_URL: own.url, S3_SYSTEM_BUCKET: 'evicting' });
  const caller = evicting.caller();
  try {
    const job = await caller.submit();
    assert.equal((await caller.get('/readyz')).status, 200);
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const isUnready = async () => (await caller.get('/readyz')).status === 503;
    for (const deadline = Date.now() + 5000; !(await isUnready()); ) assert.ok(Date.now() < deadline);
    const inline = { source: { type: 'inline', contentType: 'image/png', data: 'aaaa' } };
    const refused = await caller.refused('queue-unavailable', 'POST', '/v1/jobs', { json: inline });
    assert.equal(refused.headers.get('retry-after'), '60');
    assert.match(refused.detail, /an operator must see to it/);
    assert.equal((await caller.get(`/v1/jobs/${job.id}`)).status, 200);
    for (const deadline = Date.now() + 5000; (await evicting.keysIn('evicting')).length > 0; ) {
      assert.ok(Date.now() < deadline, 'the refused document stays');
    }
  } finally {
    await evicting.close();
    redis.disconnect();
    await own.stop();
  }
});

test('a caller sees what its own open jobs count for, and the limits', async () => {
  const caller = api.caller({ tenant: 'user' });
  await caller.submit();
  const answer = await caller.get('/v1/usage');
  assert.deepEqual(answer.json(), {
    object: 'usage',
    jobs: { inUse: 1, limit: 2 },
    pages: { inUse: 0, limit: 50 },
    megapixels: { inUse: 0, limit: 80 },
  });
  await api.caller({ scopes: ['jobs:write'] }).refused('insufficient-scope', 'GET', '/v1/usage');
});

test('an operator sees the queues, pauses one and resumes it; others may not', async () => {
  const own = await startApi(stores);
  const operator = own.caller();
  await operator.submit();
  const listed = await operator.get('/v1/queues');
  const empty = { object: 'queue', backlog: 0, active: 0, delayed: 0, paused: false, ratePerSecond: 0 };
  const list = z.object({ data: z.array(z.looseObject({ oldestAgeSeconds: z.number().nullable() })) });
  const [documents, deliveries] = list.parse(listed.json()).data;
  const age = documents?.oldestAgeSeconds ?? -1;
  assert.ok(age >= 0 && age < 60, `${age} s`);
  assert.deepEqual(documents, { ...empty, name: 'documents', waiting: 1, oldestAgeSeconds: age });
  assert.deepEqual(deliveries, { ...empty, name: 'deliveries', waiting: 0, oldestAgeSeconds: null });

  const pausedBy = async (path: string) =>
    z.object({ paused: z.boolean() }).parse((await operator.call('POST', path)).json());
  for (const name of ['documents', 'deliveries']) {
    assert.deepEqual(await pausedBy(`/v1/queues/${name}/pause`), { paused: true });
    assert.deepEqual(await pausedBy(`/v1/queues/${name}/pause`), { paused: true });
    assert.deepEqual(await pausedBy(`/v1/queues/${name}/resume`), { paused: false });
  }
  await operator.refused('not-found', 'POST', '/v1/queues/other/pause');
  const user = own.caller({ scopes: ['jobs:write', 'jobs:read', 'webhooks:admin'] });
  await user.refused('insufficient-scope', 'GET', '/v1/queues');
  await user.refused('insufficient-scope', 'POST', '/v1/queues/documents/pause');
  await own.close();
});

test('an operator sees how full micro-batches are, of all workers together, and how many jobs failed', async () => {
  const own = await startApi(stores);
  const operator = own.caller();
  const idle = { object: 'stats', failures: { kept: 0, lastHour: 0 }, microBatches: [] };
  assert.deepEqual((await operator.get('/v1/stats')).json(), idle);

  const failing = async () => {
    throw new JobFailure({ code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' });
  };
  const ran = {
    model: 'svtr',
    version: '1',
    batches: 3,
    items: 15,
    room: 24,
    triggers: { size: 1, delay: 2 },
  };
  const workers = await Promise.all(
    [ran, { ...ran, batches: 1, items: 8, room: 8, triggers: { size: 1 } }].map((count) => {
      const counts = [count];
      return startWorker(own, failing, { microBatches: () => counts.splice(0) });
    }),
  );
  const statsSchema = z.object({
    failures: z.object({ kept: z.int(), lastHour: z.int() }),
    microBatches: z.array(z.looseObject({ itemsPerSecond: z.number(), batchesPerSecond: z.number() })),
  });
  const stats = async () => statsSchema.parse((await operator.get('/v1/stats')).json());
  const both = { model: 'svtr', version: '1', meanSize: 5.75, fill: 0.72, triggers: { size: 2, delay: 2 } };
  const found = await until('both workers have told', async () => {
    const [model] = (await stats()).microBatches;
    return model?.meanSize === both.meanSize && model;
  });
  const { itemsPerSecond, batchesPerSecond, ...rest } = found;
  assert.deepEqual(rest, both);
  assert.ok(itemsPerSecond > 0 && itemsPerSecond <= 23 && batchesPerSecond <= 4, `${itemsPerSecond}`);

  await operator.submit();
  await until('its job has failed', async () => (await stats()).failures.kept === 1);
  assert.equal((await stats()).failures.lastHour, 1);
  await own.caller({ scopes: ['jobs:write', 'jobs:read'] }).refused('insufficient-scope', 'GET', '/v1/stats');
  for (const worker of workers) await worker.close();
  await own.close();
});
