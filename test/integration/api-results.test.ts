import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JobFailure } from '@glyphmill/contract/failure';
import { jobSchema } from '@glyphmill/contract/job';
import { connectProducer, ready } from '@glyphmill/queue/connection';
import { keysOf } from '@glyphmill/queue/keys';
import {
  type Api,
  type Caller,
  inlineResult,
  outcomeOf,
  resultOf,
  type Stores,
  s3Source,
  startApi,
  startStores,
  startWorker,
} from './api-setup.ts';

let stores: Stores;
let api: Api;
let caller: Caller;
let worker: { close(): Promise<void> };
let release = () => {};
const held = new Promise<void>((resolve) => {
  release = resolve;
});

/** Does with a job what its metadata say. */
before(async () => {
  stores = await startStores();
  api = await startApi(stores);
  caller = api.caller();
  worker = await startWorker(api, async ({ jobId, task }) => {
    if (task.metadata.end === 'failure') {
      throw new JobFailure({
        code: 'corrupt-document',
        message: 'expected a PNG, got nonsense',
        retryable: false,
        phase: 'decode',
      });
    }
    if (task.metadata.end === 'held' || task.document.key === 'held') await held;
    if (task.metadata.end !== 'object')
      return outcomeOf(inlineResult(jobId, task.inline?.contentType ?? 'Grüße'));
    const address = { bucket: api.config.s3SystemBucket, key: `results/${jobId}` };
    const bytes = Buffer.from(JSON.stringify(resultOf(jobId, 'from S3')));
    const signal = AbortSignal.timeout(5000);
    await api.objects.write(address, bytes, { contentType: 'application/json', signal });
    return outcomeOf({ kind: 'object', ...address });
  });
});
after(async () => {
  release();
  await worker.close();
  await api.close();
  await stores.stop();
});

async function ended(metadata: Record<string, string> = {}): Promise<string> {
  const { id } = await caller.submit({ metadata });
  const job = jobSchema.parse((await caller.get(`/v1/jobs/${id}?wait=20`)).json());
  assert.ok(job.status === 'succeeded' || job.status === 'failed', job.status);
  return id;
}

test('a result is given as JSON or as text, by ?format= or by Accept', async () => {
  const id = await ended();
  const path = `/v1/jobs/${id}/result`;
  const json = await caller.get(path);
  assert.deepEqual([json.status, json.json()], [200, resultOf(id, 'Grüße')]);
  assert.equal(json.headers.get('vary'), 'accept');
  const texts = [
    await caller.get(`${path}?format=text`),
    await caller.get(path, { headers: { accept: 'text/plain' } }),
  ];
  for (const { text, headers } of texts) {
    assert.equal(text, 'Grüße');
    assert.equal(headers.get('content-type'), 'text/plain; charset=utf-8');
  }
  const again = await caller.get(path);
  assert.equal(again.text, json.text, 'a result can be read as often as one likes');
});

test('a format that does not exist is 406, in the query and in Accept', async () => {
  const id = await ended();
  await caller.refused('format-not-available', 'GET', `/v1/jobs/${id}/result?format=pdf`);
  const headers = { accept: 'application/pdf' };
  await caller.refused('format-not-available', 'GET', `/v1/jobs/${id}/result`, { headers });
});

test('a large result is read from the object store, and is 410 once it is gone from there', async () => {
  const id = await ended({ end: 'object' });
  const answer = await caller.get(`/v1/jobs/${id}/result`);
  assert.deepEqual(answer.json(), resultOf(id, 'from S3'));
  const signal = AbortSignal.timeout(5000);
  await api.objects.remove({ bucket: api.config.s3SystemBucket, key: `results/${id}` }, { signal });
  await caller.refused('result-expired', 'GET', `/v1/jobs/${id}/result`);
});

test('a result that Redis has forgotten before its job is 410', async () => {
  const id = await ended();
  const redis = connectProducer(api.address.url, () => {});
  await ready(redis, 5000);
  await redis.del(keysOf(api.address.shard).result(id));
  redis.disconnect();
  await caller.refused('result-expired', 'GET', `/v1/jobs/${id}/result`);
});

test('the result of an unfinished job is 409 and says when to ask again', async () => {
  const { id } = await caller.submit({ metadata: { end: 'held' } });
  const problem = await caller.refused('job-not-finished', 'GET', `/v1/jobs/${id}/result`);
  assert.equal(problem.retryable, true);
  assert.match(problem.headers.get('retry-after') ?? '', /^\d+$/);
});

test('the result of a failed job is 409 with the job’s own failure', async () => {
  const id = await ended({ end: 'failure' });
  const problem = await caller.refused('job-failed', 'GET', `/v1/jobs/${id}/result`);
  assert.equal(problem.detail, 'corrupt-document: expected a PNG, got nonsense');
  assert.equal(problem.retryable, false);
  const job = jobSchema.parse((await caller.get(`/v1/jobs/${id}`)).json());
  assert.equal(job.error?.code, 'corrupt-document');
});

const image = Buffer.from('89504e470d0a1a0a', 'hex');

function form(fields: Record<string, string | Blob>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
}

test('recognize answers a multipart image with the result, whether its options come first or last', async () => {
  const file = new Blob([image], { type: 'image/png' });
  for (const body of [
    form({ image: file, options: '{"minConfidence":0.5}', mode: 'line' }),
    form({ options: '{"minConfidence":0.5}', mode: 'line', image: file }),
  ]) {
    const answer = await caller.call('POST', '/v1/recognize', { body });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(resultText(answer.json()), 'image/png');
  }
  const list = await caller.get('/v1/jobs?limit=1');
  assert.match(list.text, /"mode":"line".*"priority":"high"/);
});

test('recognize takes the image as the body itself, and a source as JSON', async () => {
  for (const type of ['application/octet-stream', 'image/jpeg', 'image/svg+xml; charset=utf-8']) {
    const answer = await caller.call('POST', '/v1/recognize', {
      body: image,
      headers: { 'content-type': type },
    });
    assert.deepEqual([answer.status, resultText(answer.json())], [200, type.split(';')[0]]);
  }
  const inline = { type: 'inline', contentType: 'image/webp', data: image.toString('base64') };
  for (const [source, text] of [
    [s3Source, 'Grüße'],
    [inline, 'image/webp'],
  ]) {
    const answer = await caller.call('POST', '/v1/recognize', { json: { source } });
    assert.deepEqual([answer.status, resultText(answer.json())], [200, text]);
  }
});

test('recognize answers 202 with the job when it takes longer, and that job ends like any other', async () => {
  const json = { source: { ...s3Source, key: 'held' } };
  const answer = await caller.call('POST', '/v1/recognize?timeout=1', { json });
  assert.equal(answer.status, 202);
  const job = jobSchema.parse(answer.json());
  assert.equal(answer.headers.get('location'), `/v1/jobs/${job.id}`);
  release();
  const done = await caller.get(`/v1/jobs/${job.id}?wait=20`);
  assert.equal(jobSchema.parse(done.json()).status, 'succeeded');
  await caller.refused('validation-failed', 'POST', '/v1/recognize?timeout=61', { json });
});

test('recognize says what is wrong with a form', async () => {
  const file = new Blob([image], { type: 'image/png' });
  const cases: [code: string, pointer: string | undefined, fields: Record<string, string | Blob>][] = [
    ['validation-failed', '/image', { mode: 'line' }],
    ['validation-failed', '/image', { image: new Blob([]) }],
    ['validation-failed', '/mode', { image: file, mode: 'poem' }],
    ['unknown-field', '/colour', { image: file, colour: 'blue' }],
    ['unknown-field', '/picture', { picture: file }],
    ['unknown-field', '/options/dpi', { image: file, options: '{"dpi":300}' }],
    ['invalid-json', undefined, { image: file, options: '{"minConfidence"' }],
    ['payload-too-large', undefined, { image: file, options: ' '.repeat(20_000) }],
    ['payload-too-large', undefined, { image: file, mode: 'line', a: '1', b: '2', c: '3', d: '4', e: '5' }],
  ];
  for (const [code, pointer, fields] of cases) {
    const problem = await caller.refused(code, 'POST', '/v1/recognize', { body: form(fields) });
    assert.equal(problem.errors?.[0]?.pointer, pointer, problem.detail);
  }
  const two = form({ image: file });
  two.append('image', file);
  await caller.refused('payload-too-large', 'POST', '/v1/recognize', { body: two });
  await caller.refused('validation-failed', 'POST', '/v1/recognize', {
    body: new Uint8Array(),
    headers: { 'content-type': 'image/png' },
  });
  await caller.refused('unsupported-media-type', 'POST', '/v1/recognize', { body: 'a=1' });
  await caller.refused('invalid-request', 'POST', '/v1/recognize', {
    body: 'no part at all',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
  });
});

test('an image over the limit is refused as a body and as a form', async () => {
  const small = await startApi(stores, { MAX_UPLOAD_BYTES: '1000' });
  const owner = small.caller();
  const large = Buffer.alloc(1001);
  await owner.refused('payload-too-large', 'POST', '/v1/recognize', {
    body: large,
    headers: { 'content-type': 'image/png' },
  });
  await owner.refused('payload-too-large', 'POST', '/v1/recognize', {
    body: form({ image: new Blob([large]) }),
  });
  const fits = await owner.call('POST', '/v1/recognize?timeout=0', {
    body: form({ image: new Blob([large.subarray(1)]) }),
  });
  assert.equal(fits.status, 202, fits.text);
  await small.close();
});

test('recognize reports a failed job as 409, and refuses callers beyond its limit with 503', async () => {
  const narrow = await startApi(stores, { RECOGNIZE_CONCURRENCY: '1' });
  const owner = narrow.caller();
  const json = { source: s3Source };
  const waiting = owner.call('POST', '/v1/recognize?timeout=60', { json });
  await untilSeen(owner);
  const full = await owner.refused('queue-full', 'POST', '/v1/recognize', { json });
  assert.equal(full.headers.get('retry-after'), '1');
  const failing = await startWorker(narrow, async () => {
    throw new JobFailure({ code: 'source-not-found', message: 'none', retryable: false, phase: 'fetch' });
  });
  const answer = await waiting;
  assert.deepEqual([answer.status, Object(answer.json()).code], [409, 'job-failed']);
  assert.equal((await owner.call('POST', '/v1/recognize', { json })).status, 409, 'the place is free again');
  await failing.close();
  await narrow.close();
});

async function untilSeen(owner: Caller): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await owner.get('/v1/jobs')).text.includes('"queued"')) assert.ok(Date.now() < deadline);
}

function resultText(result: unknown): unknown {
  return Object(result).text;
}
