import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { batchLimits } from '@glyphmill/contract/batch-request';
import { newId } from '@glyphmill/contract/id';
import { type Job, jobListSchema, jobSchema } from '@glyphmill/contract/job';
import { modelListSchema } from '@glyphmill/contract/model';
import { requestLimits } from '@glyphmill/contract/request';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import {
  type Api,
  type Caller,
  inlineResult,
  outcomeOf,
  type Stores,
  s3Source,
  startApi,
  startStores,
  startWorker,
} from './api-setup.ts';

let stores: Stores;
/** Without a worker: its jobs stay queued. */
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

test('a submitted job is answered 202 with where and when to ask for it, and is found there', async () => {
  const answer = await caller.call('POST', '/v1/jobs', {
    json: { source: s3Source, mode: 'line', metadata: { ref: '9912' }, priority: 'low' },
  });
  assert.equal(answer.status, 202);
  const job = jobSchema.parse(answer.json());
  assert.equal(answer.headers.get('location'), `/v1/jobs/${job.id}`);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.deepEqual(job.source, { ...s3Source, versionId: null, ifMatch: null });
  assert.deepEqual(
    [job.status, job.mode, job.priority, job.metadata],
    ['queued', 'line', 'low', { ref: '9912' }],
  );
  assert.equal(job.cache, null);

  const found = await caller.get(`/v1/jobs/${job.id}`);
  assert.deepEqual(found.json(), job);
  assert.match(found.headers.get('retry-after') ?? '', /^\d+$/);
});

test('with a public address, links and Location are absolute', async () => {
  const named = await startApi(stores, { PUBLIC_URL: 'https://ocr.example/base/' });
  const job = await named.caller().submit();
  assert.equal(job.links.self, `https://ocr.example/base/v1/jobs/${job.id}`);
  await named.close();
});

test('an inline document is put into the system bucket, and no answer shows its bytes', async () => {
  const bytes = Buffer.from('PNG-like bytes, not text');
  const data = bytes.toString('base64');
  const job = await caller.submit({ source: { type: 'inline', contentType: 'image/png', data } });
  assert.deepEqual(job.source, { type: 'inline', contentType: 'image/png', sizeBytes: bytes.length });
  const signal = AbortSignal.timeout(5000);
  const address = { bucket: 'system', key: `inline/${job.id}` };
  const stored = await api.objects.read(address, { maxBytes: 1000, signal });
  assert.deepEqual(stored.bytes, bytes);
});

test('an inline document of the largest size allowed is accepted, and one byte more is not', async () => {
  const inline = (size: number) => ({
    source: { type: 'inline', contentType: 'image/png', data: Buffer.alloc(size, 7).toString('base64') },
  });
  const job = await caller.submit(inline(requestLimits.inlineBytes));
  assert.ok(job.source.type === 'inline' && job.source.sizeBytes === requestLimits.inlineBytes);
  const json = inline(requestLimits.inlineBytes + 3);
  const problem = await caller.refused('validation-failed', 'POST', '/v1/jobs', { json });
  assert.equal(problem.errors?.[0]?.pointer, '/source/data');
});

test('a job that has not changed since its ETag was given is answered 304, a changed one anew', async () => {
  const worked = await startApi(stores);
  const owner = worked.caller();
  const job = await owner.submit();
  const first = await owner.get(`/v1/jobs/${job.id}`);
  const etag = first.headers.get('etag') ?? '';
  const headers = { 'if-none-match': etag };
  const same = await owner.get(`/v1/jobs/${job.id}`, { headers });
  assert.deepEqual([same.status, same.text, same.headers.get('etag')], [304, '', etag]);

  const worker = await startWorker(worked, async ({ jobId }) => outcomeOf(inlineResult(jobId, 'x')));
  const changed = await owner.get(`/v1/jobs/${job.id}?wait=10`, { headers });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get('etag'), etag);
  await worker.close();
  await worked.close();
});

test('a long poll answers as soon as the job has ended, without Retry-After', async () => {
  const worked = await startApi(stores);
  const owner = worked.caller();
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const worker = await startWorker(worked, async ({ jobId }) => {
    await finished;
    return { ...outcomeOf(inlineResult(jobId, 'x')), cache: 'hit' };
  });
  const job = await owner.submit({ cache: 'use' });
  const early = await owner.get(`/v1/jobs/${job.id}?wait=1`);
  assert.equal(jobSchema.parse(early.json()).status, 'running');
  assert.ok(early.headers.get('retry-after'));

  const startedMs = performance.now();
  const poll = owner.get(`/v1/jobs/${job.id}?wait=30`);
  finish();
  const answer = await poll;
  assert.ok(performance.now() - startedMs < 5000);
  const ended = jobSchema.parse(answer.json());
  assert.deepEqual([ended.status, ended.attempt, ended.usage?.pages], ['succeeded', 1, 1]);
  assert.deepEqual([ended.cache, ended.usage?.cache], ['hit', 'hit']);
  assert.equal(answer.headers.get('retry-after'), null);
  assert.ok(ended.expiresAt !== null && ended.finishedAt !== null);
  await worker.close();
  await worked.close();
});

test('closing the API answers whoever still waits', async () => {
  const closed = await startApi(stores);
  const owner = closed.caller();
  const job = await owner.submit();
  const seen = once(closed.app.server, 'request');
  const poll = owner.get(`/v1/jobs/${job.id}?wait=60`);
  await seen;
  const startedMs = performance.now();
  const [answer] = await Promise.all([poll, closed.close()]);
  assert.equal(jobSchema.parse(answer.json()).status, 'queued');
  assert.ok(performance.now() - startedMs < 5000);
});

test('jobs are listed newest first, page by page, each once', async () => {
  const owner = api.caller({ tenant: 'lister' });
  const submitted: Job[] = [];
  for (let count = 0; count < 7; count += 1) submitted.push(await owner.submit());
  const listed: string[] = [];
  let cursor: string | null = null;
  do {
    const next: string = cursor === null ? '' : `&cursor=${cursor}`;
    const page = jobListSchema.parse((await owner.get(`/v1/jobs?limit=3${next}`)).json());
    assert.ok(page.data.length <= 3);
    listed.push(...page.data.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  assert.deepEqual(listed, submitted.map(({ id }) => id).reverse());
});

test('a list can be narrowed by state and time', async () => {
  const owner = api.caller({ tenant: 'narrower' });
  const job = await owner.submit();
  const idsOf = async (query: string) => {
    const list = jobListSchema.parse((await owner.get(`/v1/jobs?${query}`)).json());
    return list.data.map(({ id }) => id);
  };
  assert.deepEqual(await idsOf('status=queued'), [job.id]);
  assert.deepEqual(await idsOf('status=failed'), []);
  assert.deepEqual(await idsOf('createdAfter=2020-01-01T00:00:00Z&createdBefore=2100-01-01T00:00:00Z'), [
    job.id,
  ]);
  assert.deepEqual(await idsOf('createdBefore=2020-01-01T00:00:00%2B02:00'), []);
  await owner.refused('validation-failed', 'GET', '/v1/jobs?cursor=nothing-of-ours');
  for (const query of [
    'limit=101',
    'limit=0',
    'limit=x',
    'status=lost',
    'createdAfter=yesterday',
    'limit=1&limit=2',
  ]) {
    await owner.refused('validation-failed', 'GET', `/v1/jobs?${query}`);
  }
  const problem = await owner.refused('unknown-field', 'GET', '/v1/jobs?page=2');
  assert.match(problem.detail, /Query parameter page/);
});

test('another tenant’s job does not exist, nor does one that never was or has no id’s form', async () => {
  const job = await caller.submit();
  const other = api.caller({ tenant: 'other' });
  for (const path of [`/v1/jobs/${job.id}`, `/v1/jobs/${job.id}/result`, `/v1/jobs/${job.id}?wait=20`]) {
    await other.refused('not-found', 'GET', path);
  }
  assert.deepEqual(jobListSchema.parse((await other.get('/v1/jobs')).json()).data, []);
  for (const id of [newId('job'), 'job_1', 'evt_x', '%2e%2e', 'x'.repeat(99)]) {
    await caller.refused('not-found', 'GET', `/v1/jobs/${id}`);
  }
});

test('a model that no worker has announced is refused, and the default one is not', async () => {
  const worked = await startApi(stores);
  const owner = worked.caller();
  await owner.submit({ model: 'default' });
  await owner.refused('unknown-model', 'POST', '/v1/jobs', { json: { source: s3Source, model: 'svtr' } });
  const worker = await startWorker(worked, async ({ jobId }) => outcomeOf(inlineResult(jobId, 'x')));
  const problem = await owner.refused('unknown-model', 'POST', '/v1/jobs', {
    json: { source: s3Source, model: 'other' },
  });
  assert.match(problem.detail, /svtr/);
  await owner.submit({ model: 'svtr' });
  const list = modelListSchema.parse((await owner.get('/v1/models')).json());
  assert.deepEqual(
    list.data.map(({ name, ready }) => [name, ready]),
    [['svtr', true]],
  );
  await worker.close();
  await worked.close();
});

test('the limits in force and the tenant’s webhook secret can be asked for', async () => {
  const limits = await caller.get('/v1/limits');
  assert.deepEqual(
    { ...Object(limits.json()) },
    {
      object: 'limits',
      ...requestLimits,
      urlLength: 2048,
      webhookEndpoints: 20,
      listLimitMax: 100,
      uploadBytes: 50_000_000,
      waitingJobs: 100_000,
      tenantJobs: 50_000,
      tenantPages: 20_000,
      tenantMegapixels: 100_000,
      recognizeConcurrency: 32,
      submitConcurrency: 128,
      ...batchLimits,
      eventStreams: 1000,
      requestTimeoutSeconds: 60,
    },
  );
  const { webhookSigningKey } = api.config;
  const secret = await api.caller({ tenant: 'acme', scopes: ['webhooks:admin'] }).get('/v1/webhook-secret');
  assert.deepEqual(secret.json(), {
    object: 'webhook-secret',
    secret: tenantWebhookSecret(webhookSigningKey, 'acme'),
  });
});
