// A job followed by its events, over HTTP.
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { jobSchema } from '@glyphmill/contract/job';
import { startRedis } from '@glyphmill/embedded/redis';
import type { Handler } from '@glyphmill/queue/job-run';
import { maxEventStreams } from 'glyphmill-api/event-stream';
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
import { type FollowedStream, followEvents } from './event-client.ts';
import { until } from './queue-setup.ts';

let stores: Stores;
let api: Api;
let owner: Caller;
before(async () => {
  stores = await startStores();
  api = await startApi(stores);
  owner = api.caller();
});
after(async () => {
  await api.close();
  await stores.stop();
});

const follow = (id: string, lastEventId?: string, { of = api, by = owner } = {}) =>
  followEvents(`${of.baseUrl}/v1/jobs/${id}/events`, {
    key: by.key,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  });
const openStreams = async (of: Api) => (await of.metrics.eventStreams.get()).values[0]?.value;
const nameOf = async (stream: FollowedStream) => (await stream.next())?.name;

/** A worker whose job goes on when the test says so. */
async function startSteppedWorker(of: Api) {
  let step = () => {};
  const turn = () =>
    new Promise<void>((resolve) => {
      step = resolve;
    });
  const handler: Handler = async ({ jobId }, { progress, signal }) => {
    await turn();
    progress({ pagesTotal: 2, pagesDone: 1, pagesFailed: 0, megapixels: 1 });
    await turn();
    signal.throwIfAborted();
    return outcomeOf(inlineResult(jobId, 'x'));
  };
  const worker = await startWorker(of, handler);
  return { step: () => step(), close: worker.close };
}

test('a job is followed from the queue to its end, each event with the whole job and its revision', async () => {
  const { id } = await owner.submit({ metadata: { ref: 'two\nlines' } });
  const stream = await follow(id);
  assert.equal(stream.status, 200);
  assert.equal(stream.headers.get('content-type'), 'text/event-stream');
  assert.equal(stream.headers.get('x-accel-buffering'), 'no');
  assert.ok(stream.headers.get('x-request-id'));
  const first = await stream.next();
  assert.deepEqual([first?.name, first?.job.status], ['job.queued', 'queued']);
  assert.equal(first?.job.metadata.ref, 'two\nlines');
  assert.equal(first?.job.links.events, `/v1/jobs/${id}/events`);
  assert.equal(await openStreams(api), 1);

  const worker = await startSteppedWorker(api);
  const seen = [await stream.next()];
  worker.step();
  seen.push(await stream.next());
  worker.step();
  seen.push(await stream.next());
  assert.deepEqual(
    seen.map((event) => [event?.name, event?.job.status, event?.job.progress.pagesDone]),
    [
      ['job.running', 'running', 0],
      ['job.progress', 'running', 1],
      ['job.succeeded', 'succeeded', 1],
    ],
  );
  const ids = [first, ...seen].map((event) => Number(event?.id));
  assert.deepEqual(
    ids,
    ids.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(ids).size, 4);
  assert.equal(await stream.next(), undefined, 'the stream ends with the job');
  await until('the stream is closed', async () => (await openStreams(api)) === 0);
  await worker.close();
});

test('the answer is as the API’s own description says', async () => {
  const { id } = await owner.submit();
  await owner.call('POST', `/v1/jobs/${id}/cancel`);
  const answer = await owner.get(`/v1/jobs/${id}/events`);
  assert.match(answer.text, /^retry: \d+\n\nid: \d+\nevent: job\.canceled\ndata: \{"object":"job",.*\}\n\n$/);
  const revision = /^id: (\d+)$/m.exec(answer.text)?.[1] ?? '';
  const seen = await owner.get(`/v1/jobs/${id}/events`, { headers: { 'last-event-id': revision } });
  assert.deepEqual([seen.status, seen.text], [204, ''], 'an EventSource does not connect again');
  await owner.refused('unknown-field', 'GET', `/v1/jobs/${id}/events?from=1`);
  await api.caller({ tenant: 'other' }).refused('not-found', 'GET', `/v1/jobs/${id}/events`);
  await api.caller({ scopes: ['jobs:write'] }).refused('insufficient-scope', 'GET', `/v1/jobs/${id}/events`);
  const other = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`;
  await owner.refused('not-found', 'GET', `/v1/jobs/${other}/events`);
});

test('a client that comes back with Last-Event-ID is told what it has missed, at once and as one event', async () => {
  const { id } = await owner.submit();
  const before = await follow(id);
  const first = await before.next();
  before.close();
  const worker = await startSteppedWorker(api);
  await until(
    'running',
    async () => jobSchema.parse((await owner.get(`/v1/jobs/${id}`)).json()).status === 'running',
  );
  worker.step();
  await until(
    'one page',
    async () => jobSchema.parse((await owner.get(`/v1/jobs/${id}`)).json()).progress.pagesDone === 1,
  );

  const back = await follow(id, first?.id);
  const now = await back.next();
  assert.deepEqual([now?.name, now?.job.progress.pagesDone], ['job.running', 1]);
  back.close();
  for (const unknown of ['', 'x', '-1', '99999', '9'.repeat(30)]) {
    const stream = await follow(id, unknown);
    assert.equal((await stream.next())?.id, now?.id, unknown);
    stream.close();
  }
  const upToDate = await follow(id, now?.id);
  worker.step();
  assert.equal(await nameOf(upToDate), 'job.succeeded', 'nothing that it had seen comes again');
  await worker.close();
});

test('a job canceled while it runs is told as canceling and then as canceled', async () => {
  const worker = await startWorker(api, (_attempt, { signal }) => {
    return new Promise((_resolve, reject) => {
      // The worker takes a moment to leave the job.
      signal.addEventListener('abort', () => setTimeout(() => reject(signal.reason), 500), { once: true });
    });
  });
  const { id } = await owner.submit();
  await until(
    'running',
    async () => jobSchema.parse((await owner.get(`/v1/jobs/${id}`)).json()).status === 'running',
  );
  const stream = await follow(id);
  assert.equal(await nameOf(stream), 'job.running');
  assert.equal((await owner.call('POST', `/v1/jobs/${id}/cancel`)).status, 202);
  assert.deepEqual([await nameOf(stream), await nameOf(stream)], ['job.canceling', 'job.canceled']);
  assert.equal(await stream.next(), undefined);
  await worker.close();
});

test('a client that goes away leaves nothing behind', async () => {
  const { id } = await owner.submit();
  const streams = await Promise.all(Array.from({ length: 20 }, () => follow(id)));
  for (const stream of streams) await stream.next();
  assert.equal(await openStreams(api), 20);
  for (const stream of streams) stream.close();
  await until('all streams are closed', async () => (await openStreams(api)) === 0);
  await owner.call('POST', `/v1/jobs/${id}/cancel`);
});

test('closing the API ends its streams in order, soon, and the job goes on elsewhere', async () => {
  const closing = await startApi(stores, { REDIS_SHARD: api.address.shard });
  const caller = closing.caller();
  const { id } = await caller.submit();
  const stream = await follow(id, undefined, { of: closing, by: caller });
  const first = await stream.next();
  const begunMs = performance.now();
  const closed = closing.close();
  // Rejects when the connection is cut in the middle.
  assert.equal(await stream.next(), undefined);
  await closed;
  assert.ok(performance.now() - begunMs < 5000);

  const other = await follow(id, first?.id);
  await owner.call('POST', `/v1/jobs/${id}/cancel`);
  assert.equal(await nameOf(other), 'job.canceled');
});

test('a stream lives through a restart of Redis, and tells what happened after it', async () => {
  const dir = join(stores.dir, 'restarted');
  const redis = await startRedis({ dir, cacheDir });
  const own = await startApi(stores, { REDIS_URL: redis.url });
  const caller = own.caller();
  const { id } = await caller.submit();
  const stream = await follow(id, undefined, { of: own, by: caller });
  assert.equal(await nameOf(stream), 'job.queued');
  await redis.stop();
  await until('Redis is missed', async () => (await caller.get('/readyz')).status === 503);
  await caller.refused('queue-unavailable', 'GET', `/v1/jobs/${id}/events`);
  const next = stream.next();
  const again = await startRedis({ dir, cacheDir });
  try {
    await until('Redis is back', async () => (await caller.get(`/v1/jobs/${id}`)).status === 200);
    await caller.call('POST', `/v1/jobs/${id}/cancel`);
    assert.equal((await next)?.name, 'job.canceled');
    assert.equal(await stream.next(), undefined);
  } finally {
    await own.close();
    await again.stop();
  }
});

test('beyond its limit on streams the API refuses with 503, and streams that end make room', async () => {
  const { id } = await owner.submit();
  const agent = new Agent({ maxSockets: Infinity, keepAlive: false });
  const headers = { authorization: `Bearer ${owner.key}` };
  const opened = Array.from(
    { length: maxEventStreams },
    () =>
      new Promise<() => void>((resolve, reject) => {
        const request = get(`${api.baseUrl}/v1/jobs/${id}/events`, { agent, headers }, (answer) => {
          answer.on('error', () => {});
          if (answer.statusCode === 200) resolve(() => answer.destroy());
          else reject(new Error(`answered ${answer.statusCode}`));
        });
        request.on('error', reject);
      }),
  );
  const close = await Promise.all(opened);
  const full = await owner.refused('too-many-streams', 'GET', `/v1/jobs/${id}/events`);
  assert.deepEqual([full.status, full.retryable, full.headers.get('retry-after')], [503, true, '5']);
  for (const end of close) end();
  await until('there is room', async () => (await openStreams(api)) === 0, 30_000);
  await owner.call('POST', `/v1/jobs/${id}/cancel`);
  assert.equal((await owner.get(`/v1/jobs/${id}/events`)).status, 200);
  agent.destroy();
});
