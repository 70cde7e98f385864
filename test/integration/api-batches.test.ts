import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { batchListSchema, batchSchema } from '@glyphmill/contract/batch';
import { batchLimits } from '@glyphmill/contract/batch-request';
import { newId } from '@glyphmill/contract/id';
import { jobListSchema } from '@glyphmill/contract/job';
import { type Api, type Caller, type Stores, s3Source, startApi, startStores } from './api-setup.ts';
import { batchOnce, getBatch, ingested, itemsOf, s3Item, submitBatch } from './batch-setup.ts';

let stores: Stores;
/** Without a worker: jobs stay queued. */
let api: Api;
let caller: Caller;
before(async () => {
  stores = await startStores();
  api = await startApi(stores, { S3_SYSTEM_BUCKET: 'system' });
  caller = api.caller();
});
after(async () => {
  await api.close();
  await stores.stop();
});

test('of the items of a batch the good ones become jobs, and each bad one is rejected with its place and reason', async () => {
  const items = [
    s3Item('a.png', { metadata: { page: '1' } }),
    { source: { type: 's3', bucket: 'in-box' } },
    s3Item('b.png', { options: { minConfidence: 0.9 } }),
    s3Item('c.png', { colour: 'red' }),
    s3Item('d.png', { options: { minConfidence: 9 } }),
    { source: { type: 's3', bucket: 'system', key: 'inline/of-somebody' } },
    'e.png',
    { source: { type: 'inline', contentType: 'image/png', data: Buffer.from('pixels').toString('base64') } },
    s3Item('f.png', { metadata: Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`m${n}`, 'x'])) }),
  ];
  const answer = await caller.call('POST', '/v1/batches', {
    json: {
      items,
      mode: 'line',
      priority: 'low',
      options: { minConfidence: 0.5, maxSideLength: 640 },
      metadata: { ref: '9912' },
      ttlSeconds: 600,
    },
  });
  assert.equal(answer.status, 202, answer.text);
  const batch = batchSchema.parse(answer.json());
  assert.equal(answer.headers.get('location'), `/v1/batches/${batch.id}`);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.deepEqual(
    batch.rejected.map(({ index, code }) => [index, code]),
    [
      [1, 'validation-failed'],
      [3, 'unknown-field'],
      [4, 'validation-failed'],
      [5, 'source-not-allowed'],
      [6, 'validation-failed'],
      [8, 'validation-failed'],
    ],
  );
  assert.match(batch.rejected[0]?.detail ?? '', /\/source\/key/);
  assert.match(batch.rejected[1]?.detail ?? '', /colour/);
  assert.equal(batch.rejectedCount, 6);

  const made = await ingested(caller, batch.id);
  assert.deepEqual(
    [made.status, made.jobCount, made.counts.queued, made.percent, made.estimatedFinishAt],
    ['running', 3, 3, 0, null],
  );
  const jobs = await itemsOf(caller, batch.id);
  assert.deepEqual(
    jobs.map(({ batchId, batchIndex }) => [batchId, batchIndex]),
    [0, 2, 7].map((index) => [batch.id, index]),
  );
  assert.deepEqual(
    jobs.map(({ metadata }) => metadata),
    [{ ref: '9912', page: '1' }, { ref: '9912' }, { ref: '9912' }],
  );
  assert.ok(
    jobs.every(({ mode, priority, status }) => `${mode} ${priority} ${status}` === 'line low queued'),
    JSON.stringify(jobs),
  );
  assert.equal(jobs[2]?.source.type, 'inline');
  const stored = await api.objects.read(
    { bucket: 'system', key: `inline/${jobs[2]?.id}` },
    { maxBytes: 100, signal: AbortSignal.timeout(5000) },
  );
  assert.equal(stored.bytes.toString(), 'pixels');
});

test('what is wrong with all of a batch refuses all of it', async () => {
  const one = { items: [s3Item('a.png')] };
  const refused = (code: string, json: unknown) => caller.refused(code, 'POST', '/v1/batches', { json });
  await refused('validation-failed', {});
  await refused('validation-failed', { ...one, prefix: { bucket: 'in-box' } });
  await refused('validation-failed', { items: [] });
  await refused('validation-failed', { items: Array(batchLimits.batchItems + 1).fill(s3Item('a.png')) });
  await refused('unknown-field', { ...one, colour: 'red' });
  await refused('validation-failed', { ...one, priority: 'high' });
  await refused('validation-failed', { ...one, deadline: '2001-01-01T00:00:00Z' });
  await refused('unknown-model', { ...one, model: 'nobody-serves-this' });
  await refused('address-not-allowed', { ...one, webhook: { url: 'https://127.0.0.1/' } });
  await refused('validation-failed', []);
  await caller.refused('invalid-json', 'POST', '/v1/batches', {
    body: '{"items":',
    headers: { 'content-type': 'application/json' },
  });
  const reader = api.caller({ scopes: ['jobs:read'] });
  await reader.refused('insufficient-scope', 'POST', '/v1/batches', { json: one });
});

test('each line of a manifest becomes a job or is rejected, whatever the others are', async () => {
  const long = 'x'.repeat(batchLimits.manifestLineBytes);
  await api.put(
    'in-box',
    'manifest.jsonl',
    Buffer.concat([
      Buffer.from(`\ufeff${JSON.stringify(s3Item('0.png'))}\r\n`),
      Buffer.from('not JSON\n'),
      Buffer.from('  \t\r\n\n'),
      Buffer.from(`${JSON.stringify(s3Item(`${long}.png`))}\n`),
      Buffer.from([0xff, 0xfe, 0x0a]),
      Buffer.from('{"source":{"type":"inline","contentType":"image/png","data":"AAAA"}}\n'),
      Buffer.from(JSON.stringify(s3Item('7.png', { metadata: { last: 'without an end of line' } }))),
    ]),
  );
  const manifest = { bucket: 'in-box', key: 'manifest.jsonl' };
  const batch = await ingested(caller, (await submitBatch(caller, { manifest })).id);
  assert.deepEqual(batch.ingest, { state: 'done', waitingFor: null, error: null, indexed: 8 });
  assert.deepEqual(
    batch.rejected.map(({ index, code }) => [index, code]),
    [
      [1, 'invalid-json'],
      [4, 'line-too-long'],
      [5, 'invalid-json'],
      [6, 'validation-failed'],
    ],
  );
  assert.equal(batch.rejectedCount, 4);
  const jobs = await itemsOf(caller, batch.id);
  assert.deepEqual(
    jobs.map(({ batchIndex, source }) => [batchIndex, source.type === 's3' && source.key]),
    [
      [0, '0.png'],
      [7, '7.png'],
    ],
  );
});

test('a manifest of nothing but mistakes makes a batch without jobs, and keeps the first thousand of them', async () => {
  await api.put('in-box', 'table.csv', 'key;title\n'.repeat(batchLimits.batchRejections + 500));
  const batch = await submitBatch(caller, { manifest: { bucket: 'in-box', key: 'table.csv' } });
  const done = await batchOnce(caller, batch.id, ({ finishedAt }) => finishedAt !== null);
  assert.deepEqual([done.status, done.jobCount, done.percent], ['completed', 0, 100]);
  assert.equal(done.rejectedCount, batchLimits.batchRejections + 500);
  assert.equal(done.rejected.length, batchLimits.batchRejections);
});

test('the objects under a prefix that match the glob become jobs, and a folder’s mark does not', async () => {
  for (const key of ['2026/', '2026/a.png', '2026/b.tiff', '2026/deep/c d+é.png', '2027/d.png']) {
    await api.put('shelf', `scans/${key}`, key.endsWith('/') ? '' : 'pixels');
  }
  const keysOf = async (prefix: object) => {
    const { id } = await submitBatch(caller, { prefix: { bucket: 'shelf', ...prefix } });
    await ingested(caller, id);
    return (await itemsOf(caller, id)).map(({ batchIndex, source }) => [
      batchIndex,
      source.type === 's3' && source.key,
    ]);
  };
  assert.deepEqual(await keysOf({ prefix: 'scans/2026/' }), [
    [0, 'scans/2026/a.png'],
    [1, 'scans/2026/b.tiff'],
    [2, 'scans/2026/deep/c d+é.png'],
  ]);
  assert.deepEqual(await keysOf({ prefix: 'scans/', glob: '*/*.png' }), [
    [0, 'scans/2026/a.png'],
    [1, 'scans/2027/d.png'],
  ]);
  assert.deepEqual(await keysOf({ glob: 'scans/**.png' }), [
    [0, 'scans/2026/a.png'],
    [1, 'scans/2026/deep/c d+é.png'],
    [2, 'scans/2027/d.png'],
  ]);
  assert.deepEqual(await keysOf({ prefix: 'nothing-here/' }), []);
});

test('a manifest or bucket that is not there is refused at once, with what is wrong', async () => {
  await api.put('in-box', 'there.jsonl', '\n');
  const refused = async (json: object) =>
    await caller.refused('validation-failed', 'POST', '/v1/batches', { json });
  const missing = await refused({ manifest: { bucket: 'in-box', key: 'not-there.jsonl' } });
  assert.equal(missing.errors?.[0]?.pointer, '/manifest');
  assert.match(missing.detail, /no such object/);
  await refused({ manifest: { bucket: 'no-bucket', key: 'there.jsonl' } });
  const nowhere = await refused({ prefix: { bucket: 'no-bucket' } });
  assert.equal(nowhere.errors?.[0]?.pointer, '/prefix');
  assert.match(nowhere.detail, /no such bucket/);
});

test('a key that may read some places only can name no other, by item, line, manifest or prefix', async () => {
  const allowed = { source: { type: 's3', bucket: 'shelf', key: 'mine/a.png' } };
  const others = { source: { type: 's3', bucket: 'shelf', key: 'theirs/a.png' } };
  await api.put('shelf', 'mine/a.png', 'pixels');
  await api.put('shelf', 'theirs/manifest.jsonl', JSON.stringify(allowed));
  await api.put(
    'shelf',
    'mine/manifest.jsonl',
    [others, allowed].map((item) => JSON.stringify(item)).join('\n'),
  );
  const limited = api.caller({ buckets: [{ bucket: 'shelf', prefix: 'mine/' }] });
  const rejectedOf = async (json: object) => {
    const batch = await ingested(limited, (await submitBatch(limited, json)).id);
    return [batch.jobCount, batch.rejected.map(({ index, code }) => [index, code])];
  };
  const first = [1, [[0, 'source-not-allowed']]];
  assert.deepEqual(await rejectedOf({ items: [others, allowed] }), first);
  assert.deepEqual(await rejectedOf({ manifest: { bucket: 'shelf', key: 'mine/manifest.jsonl' } }), first);
  for (const json of [
    { manifest: { bucket: 'shelf', key: 'theirs/manifest.jsonl' } },
    { manifest: { bucket: 'system', key: 'mine/manifest.jsonl' } },
    { prefix: { bucket: 'shelf', prefix: 'theirs/' } },
    { prefix: { bucket: 'shelf', prefix: 'mi' } },
    { prefix: { bucket: 'system', prefix: 'inline/' } },
  ]) {
    await limited.refused('source-not-allowed', 'POST', '/v1/batches', { json });
  }
  assert.deepEqual(await rejectedOf({ prefix: { bucket: 'shelf', prefix: 'mine/a' } }), [1, []]);
  await caller.refused('source-not-allowed', 'POST', '/v1/batches', {
    json: { prefix: { bucket: 'system' } },
  });
});

test('the same request under one Idempotency-Key gives one batch, and its key is no other’s', async () => {
  const headers = { 'idempotency-key': newId('job') };
  const json = { items: [s3Item('a.png')], metadata: { once: 'yes' } };
  const first = await submitBatch(caller, json, headers);
  const again = await caller.call('POST', '/v1/batches', { json, headers });
  assert.equal(again.status, 202);
  assert.equal(again.headers.get('idempotent-replayed'), 'true');
  assert.equal(batchSchema.parse(again.json()).id, first.id);
  const other = { ...json, metadata: { once: 'no' } };
  await caller.refused('idempotency-key-reused', 'POST', '/v1/batches', { json: other, headers });
  const job = { source: s3Source };
  await caller.refused('idempotency-key-reused', 'POST', '/v1/jobs', { json: job, headers });
  // A refusal gives the key back.
  const fresh = { 'idempotency-key': newId('job') };
  await caller.refused('unknown-model', 'POST', '/v1/batches', {
    json: { ...json, model: 'none' },
    headers: fresh,
  });
  await submitBatch(caller, json, fresh);
});

test('sent twenty times at once under one Idempotency-Key, a batch is made once', async () => {
  const own = api.caller({ tenant: 'hasty' });
  const headers = { 'idempotency-key': newId('job') };
  const json = { items: [s3Item('a.png'), s3Item('b.png')] };
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => own.call('POST', '/v1/batches', { json, headers })),
  );
  assert.ok(
    answers.every(({ status }) => status === 202 || status === 409),
    answers.map(({ status }) => status).join(),
  );
  const list = batchListSchema.parse((await own.get('/v1/batches')).json());
  assert.equal(list.data.length, 1);
  await ingested(own, list.data[0]?.id ?? '');
  assert.equal(jobListSchema.parse((await own.get('/v1/jobs')).json()).data.length, 2);
});

test('batches are listed newest first by pages, and another tenant’s is not there', async () => {
  const own = api.caller({ tenant: 'lister' });
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) {
    ids.unshift((await submitBatch(own, { items: [s3Item('a.png')] })).id);
  }
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = cursor === '' ? '' : `&cursor=${cursor}`;
    const page = batchListSchema.parse((await own.get(`/v1/batches?limit=2${query}`)).json());
    seen.push(...page.data.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  assert.deepEqual(seen, ids);
  await own.refused('validation-failed', 'GET', `/v1/batches?cursor=${newId('bat')}`);
  for (const path of ['', '/items', '/results']) {
    await caller.refused('not-found', 'GET', `/v1/batches/${ids[0]}${path}`);
  }
  for (const action of ['cancel', 'retry-failed']) {
    await caller.refused('not-found', 'POST', `/v1/batches/${ids[0]}/${action}`);
  }
  await own.refused('validation-failed', 'GET', `/v1/batches/${ids[0]}/items?cursor=first`);
  await own.refused('not-found', 'GET', '/v1/batches/job_01h455vb4pex5vsknk084sn02q');
});

test('a batch bears an ETag that tells whether it has changed, and waiting for it is over in time', async () => {
  const { id } = await submitBatch(caller, { items: [s3Item('a.png')] });
  await ingested(caller, id);
  const seen = await caller.get(`/v1/batches/${id}`);
  const etag = seen.headers.get('etag') ?? '';
  assert.match(seen.headers.get('retry-after') ?? '', /^\d+$/);
  const same = await caller.get(`/v1/batches/${id}`, { headers: { 'if-none-match': etag } });
  assert.equal(same.status, 304);
  const begunMs = performance.now();
  await caller.get(`/v1/batches/${id}?wait=1`);
  assert.ok(performance.now() - begunMs >= 900, 'it did not wait');
  const waiting = caller.get(`/v1/batches/${id}?wait=60`);
  await caller.call('POST', `/v1/batches/${id}/cancel`);
  assert.equal(batchSchema.parse((await waiting).json()).status, 'canceled');
});

test('the jobs of a batch are found among all jobs by its id, the last first', async () => {
  const items = Array.from({ length: 7 }, (_, index) => s3Item(`${index}.png`));
  const { id } = await submitBatch(caller, { items });
  await ingested(caller, id);
  const places: (number | null)[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = cursor === '' ? '' : `&cursor=${cursor}`;
    const page = jobListSchema.parse((await caller.get(`/v1/jobs?batchId=${id}&limit=3${query}`)).json());
    places.push(...page.data.map(({ batchIndex }) => batchIndex));
    cursor = page.nextCursor;
  }
  assert.deepEqual(places, [6, 5, 4, 3, 2, 1, 0]);
  const none = await caller.get(`/v1/jobs?batchId=${newId('bat')}`);
  assert.deepEqual(jobListSchema.parse(none.json()).data, []);
  const running = await caller.get(`/v1/jobs?batchId=${id}&status=running`);
  assert.deepEqual(jobListSchema.parse(running.json()), { object: 'list', data: [], nextCursor: null });
  const single = await caller.submit();
  assert.deepEqual([single.batchId, single.batchIndex], [null, null]);
});

test('a tenant with too many batches in the making is told to wait, and others are not', async () => {
  // A full queue keeps them in the making.
  const slow = await startApi(stores, { S3_SYSTEM_BUCKET: 'system', MAX_WAITING_JOBS: '1' });
  const own = slow.caller();
  const json = { items: [s3Item('a.png'), s3Item('b.png')] };
  const first = await submitBatch(own, json);
  const waiting = await batchOnce(own, first.id, ({ ingest }) => ingest.state === 'waiting');
  assert.deepEqual([waiting.status, waiting.ingest.waitingFor], ['ingesting', 'queue-full']);
  for (let count = 1; count < batchLimits.batchesIngesting; count += 1) await submitBatch(own, json);
  const refused = await own.refused('quota-exceeded', 'POST', '/v1/batches', { json });
  assert.ok(Number(refused.headers.get('retry-after')) > 0, 'no Retry-After');
  await submitBatch(slow.caller({ tenant: 'other' }), json);
  await own.call('POST', `/v1/batches/${first.id}/cancel`);
  await submitBatch(own, json);
  await slow.close();
});

test('the limits of batches are told', async () => {
  const limits = JSON.parse((await caller.get('/v1/limits')).text);
  for (const [name, value] of Object.entries(batchLimits)) assert.equal(limits[name], value, name);
  assert.equal(
    (await getBatch(caller, (await submitBatch(caller, { items: [s3Item('a')] })).id)).object,
    'batch',
  );
});
