import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { JobFailure } from '@glyphmill/contract/failure';
import { isFinal, type Job, jobListSchema, jobSchema } from '@glyphmill/contract/job';
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
let api: Api;
let caller: Caller;
let worker: Awaited<ReturnType<typeof startWorker>>;
/** Documents that cannot be read until somebody mends them. */
let isMended = false;

before(async () => {
  stores = await startStores();
  api = await startApi(stores, { S3_SYSTEM_BUCKET: 'life' });
  caller = api.caller();
  worker = await startWorker(api, async ({ jobId, task }, { signal }) => {
    const { end } = task.metadata;
    if (end === 'failure' && !isMended) {
      throw new JobFailure({ code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' });
    }
    if (end === 'never') await delay(60_000, undefined, { signal });
    return outcomeOf(inlineResult(jobId, 'Grüße'));
  });
});
after(async () => {
  await worker.close();
  await api.close();
  await stores.stop();
});

const inline = { type: 'inline', contentType: 'image/png', data: 'aaaa' };
const never = { metadata: { end: 'never' } };

async function submit(options: { json?: object; headers?: Record<string, string> } = {}) {
  const json = { source: s3Source, ...options.json };
  const answer = await caller.call('POST', '/v1/jobs', { json, headers: options.headers ?? {} });
  return { ...answer, job: jobSchema.parse(answer.json()) };
}

async function get(id: string, query = ''): Promise<Job> {
  return jobSchema.parse((await caller.get(`/v1/jobs/${id}${query}`)).json());
}

async function until(id: string, status: Job['status']): Promise<Job> {
  for (const deadline = Date.now() + 10_000; ; ) {
    const job = await get(id);
    if (job.status === status) return job;
    assert.ok(!isFinal(job.status) && Date.now() < deadline, `it is ${job.status} and not ${status}`);
    await delay(20);
  }
}

test('the same request under the same Idempotency-Key gives the same job, another one is refused', async () => {
  const headers = { 'idempotency-key': '"order-1"' };
  const first = await submit({ json: { metadata: { a: '1', b: '2' } }, headers });
  assert.deepEqual([first.status, first.headers.get('idempotent-replayed')], [202, null]);
  await get(first.job.id, '?wait=10');
  const again = await submit({
    json: { metadata: { b: '2', a: '1' } },
    headers: { 'idempotency-key': 'order-1' },
  });
  assert.equal(again.job.id, first.job.id);
  assert.deepEqual(
    [again.status, again.headers.get('idempotent-replayed')],
    [200, 'true'],
    'it has ended by now',
  );
  const json = { source: s3Source, metadata: { a: '2' } };
  await caller.refused('idempotency-key-reused', 'POST', '/v1/jobs', { json, headers });
  const stranger = api.caller({ tenant: 'other' });
  const theirs = await stranger.call('POST', '/v1/jobs', { json, headers });
  assert.equal(theirs.status, 202, 'keys are each tenant’s own');
  for (const key of ['', 'a b', 'ä'.normalize('NFD'), 'x'.repeat(256)]) {
    const odd = { 'idempotency-key': Buffer.from(key).toString('latin1') };
    await caller.refused('invalid-idempotency-key', 'POST', '/v1/jobs', { json, headers: odd });
  }
});

test('a hundred requests at once under one Idempotency-Key make one job', async () => {
  const headers = { 'idempotency-key': 'order-2' };
  const json = { source: inline, metadata: { order: '2' } };
  const ids = new Set<string>();
  let refusals = 0;
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      for (;;) {
        const answer = await caller.call('POST', '/v1/jobs', { json, headers });
        if (answer.status !== 409) return ids.add(jobSchema.parse(answer.json()).id);
        assert.equal(JSON.parse(answer.text).code, 'idempotency-in-progress');
        assert.equal(answer.headers.get('retry-after'), '1');
        refusals += 1;
        await delay(50);
      }
    }),
  );
  assert.equal(ids.size, 1);
  assert.ok(refusals > 0, 'some came while the first was at it');
  const list = jobListSchema.parse((await caller.get('/v1/jobs?limit=100')).json());
  assert.equal(list.data.filter(({ metadata }) => metadata.order === '2').length, 1);
});

test('a refused request gives its Idempotency-Key back', async () => {
  const headers = { 'idempotency-key': 'order-3' };
  const json = { source: s3Source, model: 'nobody-serves-this' };
  await caller.refused('unknown-model', 'POST', '/v1/jobs', { json, headers });
  await caller.refused('unknown-model', 'POST', '/v1/jobs', { json, headers });
  assert.equal((await submit({ headers })).status, 202);
});

test('Prefer: wait answers with the ended job, or with 202 when the time is up', async () => {
  const done = await submit({ headers: { prefer: 'respond-async, wait=10' } });
  assert.deepEqual([done.status, done.job.status], [200, 'succeeded']);
  assert.equal(done.headers.get('preference-applied'), 'wait=10');
  const late = await submit({ json: never, headers: { prefer: 'wait=1' } });
  assert.equal(late.status, 202);
  assert.ok(!isFinal(late.job.status));
  await caller.call('POST', `/v1/jobs/${late.job.id}/cancel`);
});

test('a running job is canceled: 202, then canceled, and without a result', async () => {
  const { job } = await submit({ json: never });
  await until(job.id, 'running');
  const answer = await caller.call('POST', `/v1/jobs/${job.id}/cancel`);
  assert.equal(answer.status, 202);
  const ended = await get(job.id, '?wait=10');
  assert.deepEqual([ended.status, ended.error], ['canceled', null]);
  assert.equal((await caller.call('POST', `/v1/jobs/${job.id}/cancel`)).status, 200, 'again is no error');
  await caller.refused('job-canceled', 'GET', `/v1/jobs/${job.id}/result`);
  await caller.refused('invalid-state', 'POST', `/v1/jobs/${job.id}/retry`);
  await api.caller({ tenant: 'other' }).refused('not-found', 'POST', `/v1/jobs/${job.id}/cancel`);
});

test('a deadline that has passed is refused, and one that passes ends the job as expired', async () => {
  const past = new Date(Date.now() - 1000).toISOString();
  const refused = await caller.refused('validation-failed', 'POST', '/v1/jobs', {
    json: { source: s3Source, deadline: past },
  });
  assert.equal(refused.errors?.[0]?.pointer, '/deadline');
  const deadline = new Date(Date.now() + 700).toISOString();
  const { job } = await submit({ json: { ...never, deadline } });
  assert.equal(job.deadline, deadline);
  const ended = await get(job.id, '?wait=10');
  assert.deepEqual([ended.status, ended.error?.code], ['expired', 'deadline-exceeded']);
  const problem = await caller.refused('job-failed', 'GET', `/v1/jobs/${job.id}/result`);
  assert.match(problem.detail, /deadline-exceeded/);
});

test('failed jobs are dead letters: tried again one by one, or all that a filter finds', async () => {
  const failing = { metadata: { end: 'failure' } };
  const jobs = await Promise.all([1, 2, 3].map(() => submit({ json: failing })));
  for (const { job } of jobs) await until(job.id, 'failed');
  const operator = api.caller({ tenant: 'operator' });
  const listed = await operator.get('/v1/dead-letters?tenant=acme&code=corrupt-document&limit=2');
  assert.equal(JSON.parse(listed.text).data.length, 2);
  assert.equal(JSON.parse(listed.text).data[0].tenant, 'acme');
  await api
    .caller({ scopes: ['jobs:read', 'jobs:write'] })
    .refused('insufficient-scope', 'GET', '/v1/dead-letters');
  isMended = true;
  const [first] = jobs;
  assert.equal((await caller.call('POST', `/v1/jobs/${first?.job.id}/retry`)).status, 202);
  const redriven = await operator.call('POST', '/v1/dead-letters/redrive', {
    json: { code: 'corrupt-document', tenant: 'acme' },
  });
  assert.equal(redriven.status, 202);
  assert.deepEqual(JSON.parse(redriven.text), { object: 'redrive', count: 2, more: false });
  for (const { job } of jobs) assert.equal((await until(job.id, 'succeeded')).attempt, 2);
  await operator.refused('unknown-field', 'POST', '/v1/dead-letters/redrive', { json: { reason: 'x' } });
});

test('a deleted job is gone with the document that came with it; one that runs must be canceled first', async () => {
  const { job } = await submit({ json: { source: inline, ...never } });
  await until(job.id, 'running');
  const open = await caller.refused('invalid-state', 'DELETE', `/v1/jobs/${job.id}`);
  assert.equal(open.status, 409);
  assert.ok((await api.keysIn('life')).includes(`inline/${job.id}`));
  await api.caller({ tenant: 'other' }).refused('not-found', 'DELETE', `/v1/jobs/${job.id}?cancel=true`);
  assert.equal((await caller.call('DELETE', `/v1/jobs/${job.id}?cancel=true`)).status, 204);
  await caller.refused('not-found', 'GET', `/v1/jobs/${job.id}`);
  assert.ok(!(await api.keysIn('life')).includes(`inline/${job.id}`));
});

test('a tenant over its quota is 429 with Retry-After', async () => {
  const small = await startApi(stores, { TENANT_MAX_JOBS: '1' });
  const owner = small.caller();
  await owner.submit();
  const problem = await owner.refused('quota-exceeded', 'POST', '/v1/jobs', { json: { source: s3Source } });
  assert.deepEqual([problem.status, problem.retryable], [429, true]);
  assert.match(problem.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  await small.close();
});
