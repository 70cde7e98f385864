import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jobSchema } from '@glyphmill/contract/job';
import { uploadSchema } from '@glyphmill/contract/upload';
import {
  type Api,
  type Caller,
  inlineResult,
  outcomeOf,
  type Stores,
  startApi,
  startStores,
  startWorker,
} from './api-setup.ts';

let stores: Stores;
let api: Api;
let caller: Caller;
before(async () => {
  stores = await startStores();
  api = await startApi(stores, { CORS_ORIGINS: 'https://app.example.com' });
  caller = api.caller();
});
after(async () => {
  await api.close();
  await stores.stop();
});

const bytes = Buffer.from('not really an image');

async function createUpload(sizeBytes = bytes.length) {
  const answer = await caller.call('POST', '/v1/uploads', { json: { contentType: 'image/png', sizeBytes } });
  assert.equal(answer.status, 201, answer.text);
  return uploadSchema.parse(answer.json());
}

function put(
  { url, headers }: { url: string; headers: Record<string, string> },
  body: Uint8Array<ArrayBuffer>,
) {
  return fetch(url, { method: 'PUT', headers, body });
}

const sourceOf = ({ uploadId }: { uploadId: string }) => ({ type: 'upload', uploadId });

test('a document is uploaded to the store, read by one job, and gone with it', async () => {
  const upload = await createUpload();
  assert.ok(!upload.url.includes(caller.key ?? '–'), 'the API key is not in the address');
  assert.equal((await put(upload, bytes)).status, 200);
  const job = await caller.submit({ source: sourceOf(upload) });
  assert.deepEqual(job.source, {
    type: 'upload',
    uploadId: upload.uploadId,
    contentType: 'image/png',
    sizeBytes: bytes.length,
  });
  const worker = await startWorker(api, async ({ jobId, task }) => {
    const { document } = task;
    const signal = AbortSignal.timeout(5000);
    const read = await api.objects.read(
      { ...document, ifMatch: document.ifMatch },
      { maxBytes: 1000, signal },
    );
    return outcomeOf(inlineResult(jobId, read.bytes.toString()));
  });
  try {
    const ended = jobSchema.parse((await caller.get(`/v1/jobs/${job.id}?wait=20`)).json());
    assert.equal(ended.status, 'succeeded', JSON.stringify(ended.error));
    const result = await caller.get(`/v1/jobs/${job.id}/result?format=text`);
    assert.equal(result.text, bytes.toString());
  } finally {
    await worker.close();
  }
  assert.equal((await caller.call('DELETE', `/v1/jobs/${job.id}`)).status, 204);
  assert.deepEqual(
    (await api.keysIn('glyphmill')).filter((key) => key.includes(upload.uploadId)),
    [],
  );
});

test('an upload of another size or another type is refused by the store', async () => {
  const upload = await createUpload();
  assert.equal((await put(upload, Buffer.concat([bytes, bytes]))).status, 403);
  const headers = { ...upload.headers, 'content-type': 'text/html' };
  assert.equal((await put({ ...upload, headers }, bytes)).status, 403);
  assert.deepEqual(await api.keysIn('glyphmill'), []);
});

test('what was not uploaded, or by another tenant, cannot be submitted', async () => {
  const missing = { json: { source: sourceOf(await createUpload()) } };
  const { errors } = await caller.refused('validation-failed', 'POST', '/v1/jobs', missing);
  assert.equal(errors?.[0]?.pointer, '/source/uploadId');
  const upload = await createUpload();
  await put(upload, bytes);
  const stranger = api.caller({ tenant: 'other' });
  await stranger.refused('validation-failed', 'POST', '/v1/jobs', { json: { source: sourceOf(upload) } });
  await caller.submit({ source: sourceOf(upload) });
});

test('in a batch an upload that is not there rejects that item alone', async () => {
  const there = await createUpload();
  await put(there, bytes);
  const items = [await createUpload(), there].map((upload) => ({ source: sourceOf(upload) }));
  const answer = await caller.call('POST', '/v1/batches', { json: { items } });
  assert.equal(answer.status, 202, answer.text);
  assert.match(answer.text, /"rejected":\[\{"index":0,"code":"validation-failed","detail":"[^"]*uploadId/);
  assert.match(answer.text, /"rejectedCount":1/);
});

test('an upload of more than anybody takes is refused before it begins', async () => {
  const json = { contentType: 'image/png', sizeBytes: 500_000_001 };
  await caller.refused('validation-failed', 'POST', '/v1/uploads', { json });
});

const preflightHeaders = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type,idempotency-key',
};

test('pages of the origins named may call, also those whose call is refused; others may not', async () => {
  const preflight = (origin: string) =>
    fetch(`${api.baseUrl}/v1/jobs`, { method: 'OPTIONS', headers: { origin, ...preflightHeaders } });
  const allowed = await preflight('https://app.example.com');
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example.com');
  assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /authorization.*idempotency-key/);
  assert.equal(allowed.headers.get('access-control-allow-credentials'), null);
  const refused = await fetch(`${api.baseUrl}/v1/jobs`, { headers: { origin: 'https://app.example.com' } });
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get('access-control-allow-origin'), 'https://app.example.com');
  assert.match(refused.headers.get('access-control-expose-headers') ?? '', /retry-after/);
  const other = await preflight('https://evil.example.com');
  assert.equal(other.headers.get('access-control-allow-origin'), null);
});

test('without the setting no page may call', async () => {
  const closed = await startApi(stores);
  const headers = { origin: 'https://app.example.com', ...preflightHeaders };
  const answer = await fetch(`${closed.baseUrl}/v1/jobs`, { method: 'OPTIONS', headers });
  await closed.close();
  assert.equal(answer.headers.get('access-control-allow-origin'), null);
});
