import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { problems } from '@glyphmill/contract/problem';
import { startRedis } from '@glyphmill/embedded/redis';
import {
  type Api,
  type Caller,
  cacheDir,
  type Stores,
  s3Source,
  startApi,
  startObjects,
  startStores,
} from './api-setup.ts';

let stores: Stores;
let api: Api;
let caller: Caller;
before(async () => {
  stores = await startStores();
  api = await startApi(stores, {
    REQUEST_TIMEOUT_SECONDS: '1',
    S3_SYSTEM_BUCKET: 'system',
    WEBHOOK_ALLOWED_CIDRS: '10.1.0.0/16',
  });
  caller = api.caller();
});
after(async () => {
  await api.close();
  await stores.stop();
});

const inline = { type: 'inline', contentType: 'image/png', data: 'aaaa' };

test('without a known key the answer is 401 with a challenge, whatever the key looks like', async () => {
  const wrong = [undefined, 'Basic YTpi', 'Bearer', 'Bearer gm_', `Bearer gm_000000000000_${'a'.repeat(43)}`];
  for (const authorization of wrong) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const problem = await api.stranger.refused('unauthenticated', 'GET', '/v1/jobs', { headers });
    assert.equal(problem.headers.get('www-authenticate'), 'Bearer realm="glyphmill"');
  }
  // Before a body is looked at, and for every route alike.
  await api.stranger.refused('unauthenticated', 'POST', '/v1/jobs', { body: '{' });
  for (const path of [
    '/v1/limits',
    '/v1/models',
    '/v1/webhook-secret',
    '/v1/jobs/job_1',
    '/v1/jobs/job_1/result',
  ]) {
    await api.stranger.refused('unauthenticated', 'GET', path);
  }
});

test('a key may do what its scopes say and no more', async () => {
  const reader = api.caller({ scopes: ['jobs:read'] });
  const writer = api.caller({ scopes: ['jobs:write'] });
  await reader.refused('insufficient-scope', 'POST', '/v1/jobs', { json: { source: s3Source } });
  await reader.refused('insufficient-scope', 'POST', '/v1/recognize', { json: { source: s3Source } });
  await reader.refused('insufficient-scope', 'GET', '/v1/webhook-secret');
  await writer.refused('insufficient-scope', 'GET', '/v1/jobs');
  await writer.submit();
  assert.equal((await reader.get('/v1/jobs')).status, 200);
});

test('a key with a list of places reads only there, and nobody reads the system bucket', async () => {
  const bound = api.caller({ buckets: [{ bucket: 'in-box', prefix: 'a/' }, { bucket: 'other' }] });
  await bound.submit();
  await bound.submit({ source: { type: 's3', bucket: 'other', key: 'x' } });
  await bound.submit({ source: inline });
  const places = [
    { bucket: 'in-box', key: 'b/scan.png' },
    { bucket: 'third', key: 'a/scan.png' },
    { bucket: 'system', key: 'inline/job_1' },
  ];
  for (const place of places) {
    const json = { source: { type: 's3', ...place } };
    await bound.refused('source-not-allowed', 'POST', '/v1/jobs', { json });
    await bound.refused('source-not-allowed', 'POST', '/v1/recognize', { json });
  }
  const json = { source: { type: 's3', bucket: 'system', key: 'inline/job_1' } };
  await caller.refused('source-not-allowed', 'POST', '/v1/jobs', { json });
});

test('a webhook goes to https and to public or allowed addresses only', async () => {
  for (const url of [
    'http://example.com/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://[::1]/',
    'https://[::ffff:10.1.0.1]/',
    'https://169.254.169.254/latest',
    'https://10.2.0.1/',
    'https://localhost:8443/',
  ]) {
    const json = { source: s3Source, webhook: { url } };
    await caller.refused('address-not-allowed', 'POST', '/v1/jobs', { json });
  }
  for (const url of ['https://example.com/x?y=1', 'https://10.1.2.3:8443/', 'https://8.8.8.8/']) {
    await caller.submit({ webhook: { url } });
  }
  const http = await startApi(stores, { WEBHOOK_ALLOW_HTTP: 'true' });
  await http.caller().submit({ webhook: { url: 'http://example.com/' } });
  await http.close();
});

test('an unknown field is 400 and is named; another fault is 422 and is named', async () => {
  const unknown = await caller.refused('unknown-field', 'POST', '/v1/jobs', {
    json: { source: { ...s3Source, region: 'x' }, option: {} },
  });
  assert.deepEqual(unknown.errors?.map(({ pointer }) => pointer).sort(), ['/option', '/source/region']);
  const cases: [pointer: string, body: unknown][] = [
    ['', []],
    ['', null],
    ['/source', {}],
    ['/source/type', { source: { type: 'ftp' } }],
    ['/source/bucket', { source: { ...s3Source, bucket: 'A' } }],
    ['/source/key', { source: { ...s3Source, key: 'ä'.repeat(513) } }],
    ['/source/data', { source: { ...inline, data: 'not base64!' } }],
    ['/options/pages', { source: s3Source, options: { pages: '1..3' } }],
    ['/ttlSeconds', { source: s3Source, ttlSeconds: 1 }],
    ['/cache', { source: s3Source, cache: 'no-store' }],
    [
      '/metadata',
      { source: s3Source, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [n, ''])) },
    ],
    ['/webhook/url', { source: s3Source, webhook: { url: 'ftp://example.com' } }],
    ['/model', { source: s3Source, model: '../x' }],
  ];
  for (const [pointer, json] of cases) {
    const problem = await caller.refused('validation-failed', 'POST', '/v1/jobs', { json });
    assert.equal(problem.errors?.[0]?.pointer, pointer, problem.detail);
  }
});

test('a body that is no JSON, too large or of another type is refused as such', async () => {
  const headers = { 'content-type': 'application/json' };
  for (const body of ['{', '', '{"source":{}', '{"__proto__":{"admin":true}}', 'NaN']) {
    await caller.refused('invalid-json', 'POST', '/v1/jobs', { body, headers });
  }
  const body = `{"source":"${'x'.repeat(7_000_000)}"}`;
  await caller.refused('payload-too-large', 'POST', '/v1/jobs', { body, headers });
  for (const type of [
    'text/plain',
    'application/xml',
    'image/png',
    'multipart/form-data; boundary=x',
    'nonsense',
  ]) {
    await caller.refused('unsupported-media-type', 'POST', '/v1/jobs', {
      body: '{}',
      headers: { 'content-type': type },
    });
  }
});

test('what is not there is 404 also without a key', async () => {
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/v1/nothing'],
    ['PATCH', '/v1/jobs'],
    ['DELETE', '/livez'],
  ] as const) {
    await api.stranger.refused('not-found', method, path);
  }
});

test('a sane request id is kept and another one replaced', async () => {
  const idOf = async (given: string) =>
    (await api.stranger.get('/livez', { headers: { 'x-request-id': given } })).headers.get('x-request-id');
  assert.equal(await idOf('trace-1.2:3'), 'trace-1.2:3');
  for (const given of ['', 'a b', '"><script>', 'x'.repeat(129)])
    assert.match((await idOf(given)) ?? '', /^[0-9a-f-]{36}$/);
});

test('a body that drips in is cut off with 408 soon after the limit, and so is a slow head', async () => {
  const head = 'POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';
  for (const start of [`${head}authorization: Bearer ${caller.key}\r\ncontent-length: 1000\r\n\r\n{`, head]) {
    const startedMs = performance.now();
    const answer = await drip(start);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /content-type: application\/problem\+json/i);
    assert.match(answer, /x-request-id: /i);
    assert.equal(JSON.parse(answer.split('\r\n\r\n')[1] ?? '').code, 'request-timeout');
    assert.ok(performance.now() - startedMs < 4000);
  }
});

test('an image that drips in is cut off too', async () => {
  const type = 'multipart/form-data; boundary=x';
  const head = `POST /v1/recognize HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${caller.key}\r\n`;
  const part = '--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n';
  const startedMs = performance.now();
  const answer = await drip(`${head}content-type: ${type}\r\ncontent-length: 9999\r\n\r\n${part}`);
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.ok(performance.now() - startedMs < 4000);
});

test('bytes that are no HTTP are answered with a problem', async () => {
  const answer = await drip('nonsense\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.equal(JSON.parse(answer.split('\r\n\r\n')[1] ?? '').code, 'invalid-request');
});

test('a full queue is 503 with Retry-After, and keeps no document of the refused job', async () => {
  const full = await startApi(stores, { MAX_WAITING_JOBS: '1', S3_SYSTEM_BUCKET: 'full' });
  const owner = full.caller();
  await owner.submit();
  const problem = await owner.refused('queue-full', 'POST', '/v1/jobs', { json: { source: inline } });
  assert.deepEqual([problem.status, problem.retryable], [503, true]);
  assert.match(problem.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  await until(async () => (await full.keysIn('full')).length === 0);
  assert.match(await full.metrics.registry.metrics(), /ocr_api_refused_total\{reason="queue-full"\} 1/);
  await full.close();
});

test('without Redis every call that needs it is 503 within three seconds, and readyz says so', async () => {
  const redis = await startRedis({ dir: join(stores.dir, 'lost'), cacheDir });
  const lost = await startApi(stores, { REDIS_URL: redis.url });
  const owner = lost.caller();
  const job = await owner.submit();
  assert.equal((await owner.get('/readyz')).status, 200);
  const seen = once(lost.app.server, 'request');
  const waiting = owner.refused('queue-unavailable', 'GET', `/v1/jobs/${job.id}?wait=60`);
  await seen;
  await redis.stop();
  await waiting;
  const json = { source: s3Source };
  const calls = [
    () => owner.refused('queue-unavailable', 'POST', '/v1/jobs', { json }),
    () => owner.refused('queue-unavailable', 'POST', '/v1/recognize', { json }),
    () => owner.refused('queue-unavailable', 'GET', `/v1/jobs/${job.id}?wait=5`),
    () => owner.refused('queue-unavailable', 'GET', '/v1/jobs'),
    () => owner.refused('queue-unavailable', 'GET', '/v1/models'),
  ];
  for (const call of calls) {
    const startedMs = performance.now();
    const problem = await call();
    assert.ok(performance.now() - startedMs < 3000);
    assert.equal(problem.headers.get('retry-after'), '5');
  }
  assert.equal((await owner.get('/livez')).status, 200);
  await until(async () => (await owner.get('/readyz')).status === 503);
  assert.match(
    await lost.metrics.registry.metrics(),
    /http_request_duration_seconds_count\{route="\/v1\/jobs\/:id"/,
  );
  await lost.close();
});

test('without the object store an inline document is 503, and an S3 source is still accepted', async () => {
  const objects = await startObjects(join(stores.dir, 'lost-s3'));
  const lost = await startApi(stores, objects.env);
  const owner = lost.caller();
  await objects.stop();
  await owner.submit();
  const json = { source: inline };
  const problem = await owner.refused('storage-unavailable', 'POST', '/v1/jobs', { json });
  assert.equal(problem.headers.get('retry-after'), '5');
  await lost.close();
});

test('every code that a call may be answered with has its own title and a fitting status', () => {
  const titles = Object.values(problems).map(({ title }) => title);
  assert.equal(new Set(titles).size, titles.length);
  for (const { status } of Object.values(problems)) assert.ok(status >= 400 && status < 600);
});

/** Sends `start`, then a byte every 100 ms, until the server has answered and closed. */
async function drip(start: string): Promise<string> {
  const { hostname, port } = new URL(api.baseUrl);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.setEncoding('utf8');
  socket.write(start);
  let answer = '';
  socket.on('data', (text) => {
    answer += text;
  });
  const deadline = Date.now() + 10_000;
  while (!socket.closed) {
    assert.ok(Date.now() < deadline, `no end; so far: ${answer}`);
    if (socket.writable) socket.write('x');
    await delay(100);
  }
  return answer;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) assert.ok(Date.now() < deadline, 'gave up waiting');
}
