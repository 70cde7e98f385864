import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startRedis } from '@glyphmill/embedded/redis';
import { startOutboxRelay } from '@glyphmill/queue/outbox';
import { type Caller, cacheDir, type Stores, startStores } from './api-setup.ts';
import { until } from './queue-setup.ts';
import { ended, metric, startReceiver, verifiedWith } from './webhook-setup.ts';
import { deliveriesOf, lookAt, openSystem, received, register, type System } from './webhook-system.ts';

let stores: Stores;
let system: System;
let caller: Caller;
before(async () => {
  stores = await startStores();
});
after(() => stores.stop());
beforeEach(async () => {
  system = await openSystem(stores);
  caller = system.api.caller();
});
afterEach(() => system.close());

const outboxIsEmpty = async () => (await system.redis.xlen(system.keys.outbox)) === 0;

test('a relay that dies between queueing deliveries and confirming them loses none and doubles none', async () => {
  const { redis, keys, address } = system;
  const receivers = await Promise.all([1, 2, 3].map(() => system.receive()));
  for (const { url } of receivers) await register(caller, { url });
  const errors: string[] = [];
  // Without this permission a relay gets as far as one that is killed just then.
  await redis.acl('SETUSER', 'default', '-xack');
  try {
    await system.endJob(null);
    const relay = await startOutboxRelay({
      address,
      attempts: 3,
      onError: ({ message }) => errors.push(message),
    });
    await until('it failed to confirm', () => errors.some((message) => /NOPERM|EXECABORT/.test(message)));
    await relay.close();
  } finally {
    await redis.acl('SETUSER', 'default', '+xack');
  }
  const queued = () => redis.llen(`${keys.prefix}:deliveries:wait`);
  assert.equal(await queued(), 3, 'they are queued');
  const [entry] = await redis.xrange(keys.outbox, '-', '+');
  assert.ok(entry !== undefined, 'and the event is still there');
  // The next relay takes over what nobody has confirmed for 15 seconds.
  await redis.xclaim(keys.outbox, 'relay', 'dead', 0, entry[0], 'IDLE', 16_000, 'JUSTID');
  const next = await startOutboxRelay({ address, attempts: 3, onError: () => {} });
  await until('taken over', outboxIsEmpty);
  await next.close();
  assert.equal(await queued(), 3, 'they were there already');
  await system.startApp();
  await system.settled();
  assert.deepEqual(
    receivers.map(({ requests }) => requests.length),
    [1, 1, 1],
  );
});

test('a relay that dies before it queued anything is replaced by one that queues for every endpoint', async () => {
  const { redis, keys } = system;
  const receivers = await Promise.all([1, 2].map(() => system.receive()));
  for (const { url } of receivers) await register(caller, { url });
  await system.endJob(null);
  await redis.xgroup('CREATE', keys.outbox, 'relay', '0', 'MKSTREAM');
  await redis.xreadgroup('GROUP', 'relay', 'dead', 'STREAMS', keys.outbox, '>');
  const [entry] = await redis.xrange(keys.outbox, '-', '+');
  assert.ok(entry !== undefined, 'it is there');
  await redis.xclaim(keys.outbox, 'relay', 'dead', 0, entry[0], 'IDLE', 16_000, 'JUSTID');
  await system.startApp();
  for (const receiver of receivers) await received(receiver, 1);
  await until('the outbox is empty', outboxIsEmpty);
});

test('a sender that died after the receiver’s answer does not send again what the log has as delivered', async () => {
  const receiver = await system.receive();
  const { id } = await register(caller, { url: receiver.url });
  const app = await system.startApp();
  await system.endJob(null);
  const [logged] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found[0]?.status === 'delivered' && found;
  });
  assert.ok(logged !== undefined, 'it is there');
  // What the queue holds when a sender dies before it could tell the queue: the same delivery, waiting again.
  const { redis, keys } = system;
  const job = `${keys.prefix}:deliveries:${logged.id}`;
  await until('completed', async () => (await redis.hget(job, 'finishedOn')) !== null);
  await redis
    .multi()
    .zrem(`${keys.prefix}:deliveries:completed`, logged.id)
    .hdel(job, 'finishedOn', 'processedOn')
    .lpush(`${keys.prefix}:deliveries:wait`, logged.id)
    .zadd(`${keys.prefix}:deliveries:marker`, 0, '0')
    .exec();
  await until('it was taken', async () => (await redis.hget(job, 'finishedOn')) !== null);
  await system.endJob(null);
  await received(receiver, 2);
  assert.equal(new Set(receiver.requests.map((request) => request.id)).size, 2, 'the first went out once');
  assert.equal(await metric(app.metricsPort, ended('delivered')), 2);
});

test('each way to fail is in the log with its reason, and counted by its cause', async () => {
  const dropping = await system.receive((response) => response.destroy());
  const silent = await system.receive(() => {});
  const answering = (code: number, headers = {}) =>
    system.receive((response) => response.writeHead(code, headers).end());
  const target = await system.receive();
  const redirecting = await answering(302, { location: target.url });
  const [busy, missing, broken] = await Promise.all([answering(429), answering(404), answering(500)]);
  assert.ok(busy && missing && broken, 'they are there');
  const gone = await startReceiver();
  await gone.close();
  const cases: [url: string, error: string, cause: string, statusCode: number | null][] = [
    [redirecting.url, 'status 302', 'http-3xx', 302],
    [busy.url, 'status 429', 'http-4xx', 429],
    [missing.url, 'status 404', 'http-4xx', 404],
    [broken.url, 'status 500', 'http-5xx', 500],
    [dropping.url, 'ECONNRESET', 'connection', null],
    [gone.url, 'ECONNREFUSED', 'connection', null],
    [silent.url, 'no answer within 1000 ms', 'timeout', null],
    ['http://unknown.example/', unreachable, 'name', null],
    ['http://inside.example/', unreachable, 'address', null],
  ];
  const app = await system.startApp({
    delaysMs: [],
    async resolve(name) {
      if (name === 'inside.example') return ['10.0.0.1'];
      throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    },
  });
  const endpoints = [];
  for (const [url] of cases) endpoints.push(await register(caller, { url }));
  await system.endJob(null);
  await until('all', async () => (await metric(app.metricsPort, ended('given-up'))) === cases.length);
  for (const [index, [url, error, , statusCode]] of cases.entries()) {
    const [logged] = await deliveriesOf(caller, endpoints[index]?.id ?? '');
    const attempts = logged?.attempts.map((attempt) => [attempt.error, attempt.statusCode]);
    assert.deepEqual([logged?.status, attempts], ['given-up', [[error, statusCode]]], url);
    assert.ok((await lookAt(caller, endpoints[index]?.id ?? '')).failingSince !== null, url);
  }
  for (const cause of new Set(cases.map(([, , name]) => name))) {
    const expected = cases.filter(([, , name]) => name === cause).length;
    assert.equal(
      await metric(app.metricsPort, `ocr_webhook_failures_total{cause="${cause}"}`),
      expected,
      cause,
    );
  }
  assert.equal(target.requests.length, 0, 'nobody follows a redirect');
});

const unreachable = 'the name does not lead to an address that may be called';

test('a name that is unknown at first is asked for again at each attempt', async () => {
  const receiver = await system.receive();
  const { id } = await register(caller, { url: `http://late.example:${receiver.port}/` });
  let asked = 0;
  await system.startApp({
    async resolve() {
      asked += 1;
      if (asked < 3) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      return ['127.0.0.1'];
    },
  });
  await system.endJob(null);
  await received(receiver, 1);
  const [logged] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found[0]?.status === 'delivered' && found;
  });
  assert.deepEqual(
    logged?.attempts.map(({ error }) => error),
    [unreachable, unreachable, null],
  );
});

test('Retry-After of an endpoint puts its next attempt off, and the log says until when', async () => {
  const receiver = await system.receive((response, turn) =>
    response.writeHead(turn === 1 ? 429 : 204, { 'retry-after': '1' }).end(),
  );
  const { id } = await register(caller, { url: receiver.url });
  await system.startApp({ delaysMs: [10] });
  await system.endJob(null);
  const [waiting] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found.length > 0 && found;
  });
  const leftMs = Date.parse(waiting?.nextAttemptAt ?? '') - Date.parse(waiting?.attempts[0]?.at ?? '');
  assert.ok(waiting?.status === 'pending' && leftMs >= 1000 && leftMs < 3000, `${leftMs} ms`);
  const [first, second] = await received(receiver, 2);
  assert.ok(first !== undefined && second !== undefined, 'they are there');
  assert.ok(second.atMs - first.atMs >= 995, `after ${second.atMs - first.atMs} ms`);
});

test('endpoints that drip, pour without end or never answer end within the time for one attempt', async () => {
  const timers: NodeJS.Timeout[] = [];
  const silent = await system.receive(() => {});
  const dripping = await system.receive((response) => {
    response.writeHead(200);
    timers.push(setInterval(() => response.write('.'), 20));
  });
  const pouring = await system.receive((response) => {
    response.writeHead(200);
    const pour = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
    };
    response.on('drain', pour);
    pour();
  });
  const head = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\n');
    timers.push(setInterval(() => !socket.destroyed && socket.write('x: y\r\n'), 20));
  });
  head.listen(0, '127.0.0.1');
  await once(head, 'listening');
  const bound = head.address();
  const fast = await system.receive();
  try {
    const app = await system.startApp({ delaysMs: [] });
    const headUrl = `http://127.0.0.1:${typeof bound === 'object' ? bound?.port : 0}/`;
    const slow = [];
    for (const url of [silent.url, headUrl, dripping.url, pouring.url]) {
      slow.push(await register(caller, { url }));
    }
    await register(caller, { url: fast.url });
    await system.endJob(null);
    await received(fast, 1);
    await until('no answer', async () => (await metric(app.metricsPort, ended('given-up'))) === 2);
    await until('a status came', async () => (await metric(app.metricsPort, ended('delivered'))) === 3);
    for (const { id } of slow) {
      const [logged] = await deliveriesOf(caller, id);
      const [attempt] = logged?.attempts ?? [];
      assert.ok(attempt !== undefined && attempt.durationMs < 3000, `${attempt?.durationMs} ms of 1000`);
    }
  } finally {
    for (const timer of timers) clearInterval(timer);
    head.close();
  }
});

test('a Redis that is killed and comes back between two attempts costs neither delivery, log nor endpoint', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-webhook-'));
  let redis = await startRedis({ dir, cacheDir });
  const own = await openSystem(
    { ...stores, env: { ...stores.env, REDIS_URL: redis.url } },
    { REDIS_URL: redis.url },
  );
  try {
    const owner = own.api.caller();
    const down = await startReceiver();
    await down.close();
    const { id, secret } = await register(owner, { url: down.url });
    await own.startApp({ delaysMs: [1500, 500, 500, 500] });
    await own.endJob(null);
    const [failed] = await until('first attempt', async () => {
      const found = await deliveriesOf(owner, id);
      return found.length > 0 && found;
    });
    process.kill(redis.pid, 'SIGKILL');
    await redis.exited;
    await owner.refused('queue-unavailable', 'GET', `/v1/webhook-endpoints/${id}`);
    redis = await startRedis({ dir, cacheDir });
    const receiver = await startReceiver(undefined, { port: down.port });
    try {
      const [request] = await received(receiver, 1);
      assert.ok(request !== undefined, 'it is there');
      verifiedWith(secret, request);
      assert.equal(request.id, failed?.eventId);
      const [logged] = await until('log', async () => {
        const found = await deliveriesOf(owner, id).catch(() => []);
        return found[0]?.status === 'delivered' && found;
      });
      assert.equal(logged?.attempts[0]?.error, 'ECONNREFUSED');
      assert.equal(logged?.attempts.at(-1)?.statusCode, 204);
    } finally {
      await receiver.close();
    }
  } finally {
    await own.close();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  }
});
