// How many jobs an API process lets callers submit at once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { type Api, type Caller, type Stores, s3Source, startApi, startStores } from './api-setup.ts';
import { until } from './queue-setup.ts';

let stores: Stores;
let api: Api;
let caller: Caller;

before(async () => {
  stores = await startStores();
  api = await startApi(stores, { SUBMIT_CONCURRENCY: '1' });
  caller = api.caller();
});
after(async () => {
  await api.close();
  await stores.stop();
});

/** Somebody whose request does not come to its end, and who has the one place. */
async function occupy() {
  const { hostname, port } = new URL(api.baseUrl);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(
    `POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${caller.key}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  );
  // Whoever comes after this is behind it.
  await caller.get('/v1/jobs');
  return socket;
}

const status = async () => (await caller.call('POST', '/v1/jobs', { json: { source: s3Source } })).status;

test('who comes while all places are taken is told to come back, and let in when one is free', async () => {
  const slow = await occupy();
  await until('the place is taken', async () => (await status()) === 503);
  const problem = await caller.refused('queue-full', 'POST', '/v1/jobs', { json: { source: s3Source } });
  assert.deepEqual([problem.status, problem.retryable, problem.headers.get('retry-after')], [503, true, '1']);
  assert.equal((await caller.get('/v1/jobs')).status, 200, 'whoever only looks is let in');
  slow.destroy();
  await until('the place is free', async () => (await status()) === 202);
});

test('who hangs up with requests that nobody has answered yet leaves no place taken', async () => {
  const { id } = await caller.submit();
  const { hostname, port } = new URL(api.baseUrl);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const head = `Host: x\r\nAuthorization: Bearer ${caller.key}\r\n`;
  // The refusal of the second waits behind the answer to the first, which takes its time.
  socket.write(
    `GET /v1/jobs/${id}?wait=30 HTTP/1.1\r\n${head}\r\nPOST /v1/jobs HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
  );
  // Whoever comes after this is behind it.
  await caller.get('/v1/jobs');
  await until('the place is taken', async () => (await status()) === 503);
  socket.destroy();
  await until('the place is free', async () => (await status()) === 202);
});

test('who waits for a job’s end takes no place meanwhile', async () => {
  const headers = { prefer: 'wait=5' };
  const waiting = caller.call('POST', '/v1/jobs', { json: { source: s3Source }, headers });
  let isWaiting = true;
  const ended = waiting.finally(() => {
    isWaiting = false;
  });
  await until('another is let in', async () => (await status()) === 202);
  assert.ok(isWaiting, 'the first still waits');
  assert.equal((await ended).status, 202);
});
