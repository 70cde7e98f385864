// Batches with a worker: what becomes of their jobs, and how that is counted and told.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { batchEventSchema, batchResultSchema, batchSchema } from '@glyphmill/contract/batch';
import { outboxEventSchema } from '@glyphmill/contract/delivery';
import { JobFailure } from '@glyphmill/contract/failure';
import { newId } from '@glyphmill/contract/id';
import { connectConsumer, type Redis } from '@glyphmill/queue/connection';
import { type Keys, keysOf } from '@glyphmill/queue/keys';
import {
  type Api,
  type Caller,
  inlineResult,
  outcomeOf,
  resultOf,
  type Stores,
  startApi,
  startStores,
  startWorker,
} from './api-setup.ts';
import { batchOnce, getBatch, ingested, itemsOf, manifestOf, s3Item, submitBatch } from './batch-setup.ts';
import { until } from './queue-setup.ts';

let stores: Stores;
let api: Api;
let caller: Caller;
let redis: Redis;
let keys: Keys;
let worker: { close(): Promise<void> };
let release = () => {};
let held = Promise.resolve();
const begun = new Set<string>();
/** Documents that are readable by now. */
const mended = new Set<string>();

/** Does with a job what its document is called. */
before(async () => {
  stores = await startStores();
  api = await startApi(stores);
  caller = api.caller();
  redis = connectConsumer(api.address.url, () => {});
  keys = keysOf(api.address.shard);
  worker = await startWorker(api, async ({ jobId, task }, { signal }) => {
    const { key } = task.document;
    begun.add(key);
    if (key.startsWith('bad') && !mended.has(key)) {
      const message = 'expected a PNG, got nonsense';
      throw new JobFailure({ code: 'corrupt-document', message, retryable: false, phase: 'decode' });
    }
    if (key.startsWith('held')) {
      const left = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await Promise.race([held, left]);
      signal.throwIfAborted();
    }
    if (!key.startsWith('large')) return outcomeOf(inlineResult(jobId, `text of ${key}`));
    const address = { bucket: api.config.s3SystemBucket, key: `results/${jobId}` };
    const bytes = Buffer.from(JSON.stringify(resultOf(jobId, `large text of ${key}`)));
    const upload = { contentType: 'application/json', signal: AbortSignal.timeout(5000) };
    if (key !== 'large-lost') await api.objects.write(address, bytes, upload);
    return outcomeOf({ kind: 'object', ...address });
  });
});
after(async () => {
  release();
  await worker.close();
  redis.disconnect();
  await api.close();
  await stores.stop();
});

function hold(): void {
  held = new Promise<void>((resolve) => {
    release = resolve;
  });
}

const completed = (id: string) => batchOnce(caller, id, ({ finishedAt }) => finishedAt !== null);
const webhook = { url: 'https://hooks.example/batches' };

/** The events in the outbox that tell of this batch. */
async function eventsOf(batchId: string) {
  const entries = await redis.xrange(keys.outbox, '-', '+');
  return entries
    .map(([, [, json = '']]) => outboxEventSchema.parse(JSON.parse(json)))
    .filter(({ body }) => body.includes(batchId))
    .map(({ id, tenant, url, body }) => ({
      id,
      tenant,
      url,
      event: batchEventSchema.parse(JSON.parse(body)),
    }));
}

test('a batch completes when all its jobs have ended, and tells so once, with how they ended', async () => {
  const items = ['a.png', 'bad.png', 'b.png', 'bad-too.png', 'c.png'].map((key) => s3Item(key));
  const metadata = { ref: 'Grüße', empty: '' };
  const batch = await submitBatch(caller, {
    items: [...items, 'no item'],
    webhook,
    metadata,
    ttlSeconds: 60,
  });
  const done = await completed(batch.id);
  assert.equal(done.status, 'completed');
  assert.deepEqual([done.percent, done.counts.succeeded, done.counts.failed], [100, 3, 2]);
  assert.ok(done.ratePerSecond > 0, 'no rate');
  assert.equal(Date.parse(done.expiresAt ?? '') - Date.parse(done.finishedAt ?? ''), 60_000);
  const ttlMs = await redis.pttl(keys.batch(batch.id));
  assert.ok(ttlMs > 50_000 && ttlMs <= 60_000, `it lives ${ttlMs} ms`);
  assert.ok((await redis.pttl(keys.batchRejected(batch.id))) > 0, 'its rejections stay for ever');

  const [told, ...others] = await eventsOf(batch.id);
  assert.deepEqual(others, []);
  assert.deepEqual([told?.tenant, told?.url], ['acme', webhook.url]);
  assert.deepEqual(told?.event.data, {
    batchId: batch.id,
    status: 'completed',
    counts: { succeeded: 3, partial: 0, failed: 2, expired: 0, canceled: 0, deleted: 0 },
    rejectedCount: 1,
    metadata,
    results: `/v1/batches/${batch.id}/results`,
  });
  assert.ok(Math.abs(Date.parse(told?.event.timestamp ?? '') - Date.now()) < 60_000, told?.event.timestamp);
  const failed = await itemsOf(caller, batch.id, '&status=failed');
  assert.deepEqual(
    failed.map(({ batchIndex, error }) => [batchIndex, error?.code]),
    [
      [1, 'corrupt-document'],
      [3, 'corrupt-document'],
    ],
  );
});

test('a batch of which every item was rejected completes at once and tells so', async () => {
  const batch = await submitBatch(caller, { items: ['nonsense'], webhook });
  const done = await completed(batch.id);
  assert.deepEqual([done.status, done.jobCount, done.rejectedCount], ['completed', 0, 1]);
  assert.equal((await eventsOf(batch.id)).length, 1);
});

test('only whoever names the events of jobs is told of each', async () => {
  const items = [s3Item('a.png'), s3Item('bad.png')];
  const typesOf = async (events: string[] | undefined) => {
    const before = (await redis.xrevrange(keys.outbox, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0';
    const batch = await submitBatch(caller, {
      items,
      webhook: { ...webhook, ...(events ? { events } : {}) },
    });
    await completed(batch.id);
    const entries = await redis.xrange(keys.outbox, `(${before}`, '+');
    return entries.map(([, [, json = '']]) => JSON.parse(JSON.parse(json).body).type).sort();
  };
  assert.deepEqual(await typesOf(undefined), ['batch.completed']);
  assert.deepEqual(await typesOf(['batch.completed', 'job.failed']), ['batch.completed', 'job.failed']);
  assert.deepEqual(await typesOf(['job.succeeded']), ['job.succeeded']);
});

test('without an address of its own a batch tells the endpoints of its tenant, or those that it names', async () => {
  const own = api.caller({ tenant: 'with-endpoints' });
  const eventsAfter = async (json: object) => {
    const { id } = await submitBatch(own, { items: [s3Item('a.png')], ...json });
    await batchOnce(own, id, ({ finishedAt }) => finishedAt !== null);
    const entries = await redis.xrange(keys.outbox, '-', '+');
    const events = entries.map(([, [, text = '']]) => outboxEventSchema.parse(JSON.parse(text)));
    return events
      .filter(({ tenant }) => tenant === 'with-endpoints')
      .map(({ type, url, endpointIds }) => [type, url, endpointIds]);
  };
  assert.deepEqual(await eventsAfter({}), [], 'there are none');
  const created = await own.call('POST', '/v1/webhook-endpoints', {
    json: { url: 'https://hooks.example/' },
  });
  const { id } = JSON.parse(created.text);
  const all = [
    ['job.succeeded', null, null],
    ['batch.completed', null, null],
  ];
  assert.deepEqual(await eventsAfter({}), all);
  const named = { webhook: { endpointIds: [id] } };
  assert.deepEqual(await eventsAfter(named), [...all, ['batch.completed', null, [id]]]);
  const json = { items: [s3Item('a.png')], webhook: { endpointIds: [newId('whk')] } };
  await own.refused('validation-failed', 'POST', '/v1/batches', { json });
});

test('the results stream as JSON lines in the order of the source, whatever one of them came to', async () => {
  const keysInOrder = ['a.png', 'bad.png', 'large.png', 'large-lost', 'held.png', 'z.png'];
  hold();
  const { id } = await submitBatch(caller, { items: keysInOrder.map((key) => s3Item(key)) });
  await batchOnce(caller, id, ({ counts }) => counts.succeeded === 4 && counts.failed === 1);
  const linesOf = async () => {
    const answer = await caller.get(`/v1/batches/${id}/results`);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/x-ndjson/);
    return answer.text
      .split('\n')
      .slice(0, -1)
      .map((line) => batchResultSchema.parse(JSON.parse(line)))
      .map(({ index, status, result, error }) => [index, status, result?.text ?? null, error?.code ?? null]);
  };
  const ended = [
    [0, 'succeeded', 'text of a.png', null],
    [1, 'failed', null, 'corrupt-document'],
    [2, 'succeeded', 'large text of large.png', null],
    [3, 'succeeded', null, 'result-expired'],
    [5, 'succeeded', 'text of z.png', null],
  ];
  assert.deepEqual(await linesOf(), ended);
  release();
  await completed(id);
  assert.deepEqual(await linesOf(), [
    ...ended.slice(0, 4),
    [4, 'succeeded', 'text of held.png', null],
    ...ended.slice(4),
  ]);
});

test('results are read no faster than they are taken', async () => {
  const { id } = await submitBatch(caller, {
    items: Array.from({ length: 200 }, (_, index) => s3Item(`${index}.png`)),
  });
  await completed(id);
  for (const { id: jobId } of await itemsOf(caller, id)) {
    await redis.set(keys.result(jobId), JSON.stringify(resultOf(jobId, 'x'.repeat(200_000))));
  }
  const { hostname, port } = new URL(api.baseUrl);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(
    `GET /v1/batches/${id}/results HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${caller.key}\r\n\r\n`,
  );
  await until('the first bytes', () => socket.bytesRead > 0);
  socket.pause();
  const readBytes = async () =>
    Number(/^total_net_output_bytes:(\d+)/m.exec(await redis.info('stats'))?.[1] ?? 0);
  // What the sockets hold fills up; then nothing moves.
  const settled = await until('the stream to stand still', async () => {
    const before = await readBytes();
    await delay(300);
    const after = await readBytes();
    return after - before < 200_000 && after;
  });
  const startBytes = await readBytes();
  assert.ok(startBytes - settled < 1_000_000, 'it goes on reading');
  socket.resume();
  await until('the whole stream', () => socket.bytesRead > 200 * 200_000, 60_000);
  assert.ok((await readBytes()) - settled > 10_000_000, 'all had been read before anybody took it');
  socket.destroy();
});

test('a canceled batch makes no more jobs, starts none that wait, and has those that run left', async () => {
  hold();
  const running = ['held-1', 'held-2', 'held-3', 'held-4'].map((key) => s3Item(key));
  const waiting = Array.from({ length: 600 }, (_, index) => s3Item(`waiting-${index}.png`));
  const batch = await submitBatch(caller, { items: [...running, ...waiting], webhook });
  await batchOnce(caller, batch.id, ({ counts }) => counts.running === 4 && counts.queued === 600);
  const answer = await caller.call('POST', `/v1/batches/${batch.id}/cancel`);
  assert.equal(answer.status, 202);
  const canceled = await completed(batch.id);
  assert.equal(canceled.status, 'canceled');
  assert.equal(canceled.counts.canceled, 604);
  assert.deepEqual(
    [...begun].filter((key) => key.startsWith('waiting')),
    [],
  );
  const events = await eventsOf(batch.id);
  assert.deepEqual(
    events.map(({ event }) => [event.data.status, event.data.counts.canceled]),
    [['canceled', 604]],
  );
  assert.equal((await caller.call('POST', `/v1/batches/${batch.id}/cancel`)).status, 200, 'it had ended');
  // What was taken out holds up nobody who comes after.
  const next = await submitBatch(caller, { items: [s3Item('next.png')] });
  assert.equal((await completed(next.id)).counts.succeeded, 1);
  await until('an empty backlog', async () => Number(await redis.get(keys.backlogSize)) === 0);
});

test('what failed is tried again, the batch is open until then, and it completes anew', async () => {
  const items = Array.from({ length: 250 }, (_, index) => s3Item(index % 2 ? `bad-${index}` : `ok-${index}`));
  const batch = await submitBatch(caller, { items, webhook });
  const first = await completed(batch.id);
  assert.deepEqual([first.counts.failed, first.counts.succeeded], [125, 125]);
  for (const { source } of items) mended.add(source.key);
  const answer = await caller.call('POST', `/v1/batches/${batch.id}/retry-failed`);
  assert.equal(answer.status, 202, answer.text);
  const { status, finishedAt } = batchSchema.parse(answer.json());
  assert.deepEqual([status, finishedAt], ['running', null], 'nobody takes the first end for the second');
  const second = await batchOnce(caller, batch.id, ({ counts, finishedAt }) => {
    return finishedAt !== null && counts.succeeded === 250;
  });
  assert.deepEqual([second.status, second.counts.failed, second.jobCount], ['completed', 0, 250]);
  const events = await eventsOf(batch.id);
  assert.deepEqual(
    events.map(({ event }) => event.data.counts.failed),
    [125, 0],
  );
  assert.equal(new Set(events.map(({ id }) => id)).size, 2, 'two events under one id');
  // Nothing failed: nothing changes.
  assert.equal((await caller.call('POST', `/v1/batches/${batch.id}/retry-failed`)).status, 202);
  const third = await caller.get(`/v1/batches/${batch.id}?wait=30`);
  assert.match(third.text, /"status":"completed"/);
  await until('the work to be done', async () => (await redis.zcard(keys.batchWork)) === 0);
  assert.equal((await eventsOf(batch.id)).length, 2);
  assert.equal((await getBatch(caller, batch.id)).finishedAt, second.finishedAt);
});

test('one job of a completed batch tried again or deleted is counted as what it is', async () => {
  mended.delete('bad-single');
  const batch = await submitBatch(caller, { items: [s3Item('bad-single'), s3Item('a.png')], webhook });
  await completed(batch.id);
  const [bad, good] = await itemsOf(caller, batch.id);
  mended.add('bad-single');
  await caller.call('POST', `/v1/jobs/${bad?.id}/retry`);
  const again = await batchOnce(caller, batch.id, ({ counts, finishedAt }) => {
    return finishedAt !== null && counts.succeeded === 2;
  });
  assert.equal(again.counts.failed, 0);
  assert.equal((await eventsOf(batch.id)).length, 2);
  await caller.call('DELETE', `/v1/jobs/${good?.id}`);
  const { counts, jobCount, percent } = await getBatch(caller, batch.id);
  assert.deepEqual([counts.succeeded, counts.deleted, jobCount, percent], [1, 1, 2, 100]);
  assert.deepEqual((await itemsOf(caller, batch.id)).length, 1);
});

test('the jobs of a batch expire at its deadline, and it completes', async () => {
  hold();
  const deadline = new Date(Date.now() + 3000).toISOString();
  const items = Array.from({ length: 8 }, (_, index) => s3Item(`held-${index}`));
  const batch = await submitBatch(caller, { items, deadline });
  const done = await completed(batch.id);
  assert.deepEqual([done.counts.expired, done.deadline], [8, deadline]);
  assert.equal((await caller.call('POST', `/v1/batches/${batch.id}/retry-failed`)).status, 202);
  release();
  await batchOnce(caller, batch.id, ({ counts }) => counts.succeeded === 8);
});

test('what failed of a batch is not tried again while its jobs are still being made', async () => {
  const full = await startApi(stores, { MAX_WAITING_JOBS: '10' });
  const own = full.caller();
  await full.put('in-box', 'many.jsonl', manifestOf(100));
  const { id } = await submitBatch(own, { manifest: { bucket: 'in-box', key: 'many.jsonl' } });
  await batchOnce(own, id, ({ ingest }) => ingest.state === 'waiting');
  await own.refused('invalid-state', 'POST', `/v1/batches/${id}/retry-failed`);
  const canceled = await own.call('POST', `/v1/batches/${id}/cancel`);
  assert.equal(canceled.status, 202);
  const done = await batchOnce(own, id, ({ finishedAt }) => finishedAt !== null);
  assert.deepEqual(
    [done.status, done.ingest.state, done.counts.canceled],
    ['canceled', 'canceled', done.jobCount],
  );
  assert.equal(done.jobCount, 9);
  await ingested(own, id);
  await full.close();
});
