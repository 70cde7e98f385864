import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startDeliveryConsumer } from '@glyphmill/queue/deliveries';
import type { DeliveryReport } from '@glyphmill/queue/delivery-outcome';
import { startOutboxRelay } from '@glyphmill/queue/outbox';
import { startTestRedis, until } from './queue-setup.ts';
import { ended, metric, openInstallation, startReceiver, verified } from './webhook-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
let installation: Awaited<ReturnType<typeof openInstallation>>;
let receiver: Awaited<ReturnType<typeof startReceiver>>;

before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());
beforeEach(async () => {
  installation = await openInstallation(server.url);
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
  await installation.close();
});

const outboxIsEmpty = async () => (await installation.redis.xlen(installation.keys.outbox)) === 0;

test('an event that a relay moved but did not confirm before it died is delivered once', async () => {
  const { redis, keys } = installation;
  await installation.endJob(receiver.url);
  const [entry] = await redis.xrange(keys.outbox, '-', '+');
  assert.ok(entry !== undefined, 'it is there');
  const app = await installation.startApp();
  await until('delivery', async () => (await metric(app.metricsPort, ended('delivered'))) === 1);
  // What the next relay finds when the first died before XACK: the same entry, while its delivery exists.
  await redis.xadd(keys.outbox, '*', ...entry[1]);
  await installation.endJob(receiver.url);
  await until('the event after it', async () => (await metric(app.metricsPort, ended('delivered'))) === 2);
  await until('the outbox is empty', outboxIsEmpty);
  assert.equal(receiver.requests.length, 2);
  assert.equal(new Set(receiver.requests.map(({ id }) => id)).size, 2);
});

test('an event that a relay read before it died is moved by another', async () => {
  const { redis, keys } = installation;
  await installation.endJob(receiver.url);
  await redis.xgroup('CREATE', keys.outbox, 'relay', '0', 'MKSTREAM');
  await redis.xreadgroup('GROUP', 'relay', 'dead', 'STREAMS', keys.outbox, '>');
  const [entry] = await redis.xrange(keys.outbox, '-', '+');
  assert.ok(entry !== undefined, 'it is there');
  const sinceMs = 16_000;
  await redis.xclaim(keys.outbox, 'relay', 'dead', 0, entry[0], 'IDLE', sinceMs, 'JUSTID');
  await installation.startApp();
  const [request] = await until('delivery', () => receiver.requests.length > 0 && receiver.requests);
  assert.ok(request !== undefined, 'it is there');
  verified(request);
  await until('the outbox is empty', outboxIsEmpty);
});

test('two processes share the work and deliver each event once', async () => {
  await receiver.close();
  receiver = await startReceiver((response) => {
    setTimeout(() => response.writeHead(200).end(), 20);
  });
  const env = { WEBHOOK_CONCURRENCY: '8' };
  const [one, two] = await Promise.all([installation.startApp({ env }), installation.startApp({ env })]);
  const events = 60;
  const jobIds = await Promise.all(Array.from({ length: events }, () => installation.endJob(receiver.url)));
  const counts = await until('all', async () => {
    const delivered = await Promise.all(
      [one, two].map(async ({ metricsPort }) => (await metric(metricsPort, ended('delivered'))) ?? 0),
    );
    return delivered.reduce((sum, count) => sum + count) >= events && delivered;
  });
  assert.ok(
    counts.every((count) => count > 0),
    `shared as ${counts}`,
  );
  assert.equal(receiver.requests.length, events);
  const told = receiver.requests.map(({ body }) => JSON.parse(body).data.jobId);
  assert.deepEqual(told.sort(), jobIds.sort());
});

test('entries of the outbox that cannot be read are reported, dropped, and block nothing', async () => {
  const { redis, keys, address } = installation;
  await redis.xadd(keys.outbox, '*', 'event', '{"id":');
  await redis.xadd(keys.outbox, '*', 'event', '{"id":"evt_no","url":1}');
  await redis.xadd(keys.outbox, '*', 'something', 'else');
  await installation.endJob(receiver.url);
  const errors: string[] = [];
  const relay = await startOutboxRelay({
    address,
    attempts: 3,
    onError: ({ message }) => errors.push(message),
  });
  await until('the outbox is empty', outboxIsEmpty);
  assert.equal(await relay.oldestMs(), 0);
  await relay.close();
  assert.equal(errors.filter((message) => /cannot be read and was dropped/.test(message)).length, 3);
  await installation.startApp();
  await until('delivery', () => receiver.requests.length === 1);
});

test('a queued delivery that cannot be read is reported once and dropped', async () => {
  const { redis, keys, address } = installation;
  const errors: string[] = [];
  const onError = ({ message }: Error) => errors.push(message);
  const relay = await startOutboxRelay({ address, attempts: 3, onError });
  await installation.endJob(receiver.url);
  await until('the outbox is empty', outboxIsEmpty);
  const [id] = await redis.lrange(`${keys.prefix}:deliveries:wait`, 0, -1);
  await redis.hset(`${keys.prefix}:deliveries:${id}`, 'data', '{"tampered":true}');
  const reports: DeliveryReport[] = [];
  const consumer = await startDeliveryConsumer({
    address,
    concurrency: 4,
    deliver: async () => ({ kind: 'delivered', statusCode: 204 }),
    scheduleMs: () => 10,
    onAttempt: (report) => reports.push(report),
    onError,
  });
  await installation.endJob(receiver.url);
  await until('the good one', () => reports.length === 1);
  assert.deepEqual(errors, [`delivery ${id} cannot be read and was dropped`]);
  assert.equal((await consumer.counts()).failed, 1);
  await relay.close();
  await consumer.close();
});

test('an unexpected error of the sender is reported and costs one attempt', async () => {
  const errors: string[] = [];
  const reports: DeliveryReport[] = [];
  const { address } = installation;
  const onError = ({ message }: Error) => errors.push(message);
  const relay = await startOutboxRelay({ address, attempts: 2, onError });
  const consumer = await startDeliveryConsumer({
    address,
    concurrency: 4,
    deliver: () => Promise.reject(new Error('boom')),
    scheduleMs: () => 10,
    onAttempt: (report) => reports.push(report),
    onError,
  });
  await installation.endJob(receiver.url);
  await until('both attempts', () => reports.length === 2);
  assert.deepEqual(errors, ['boom', 'boom']);
  assert.deepEqual(
    reports.map(({ attempt, end }) => [attempt, end.ended]),
    [
      [1, 'retry'],
      [2, 'given-up'],
    ],
  );
  await relay.close();
  await consumer.close();
});

test('the relay goes on after its consumer group was lost', async () => {
  const { redis, keys } = installation;
  await installation.startApp();
  await installation.endJob(receiver.url);
  await until('the first', () => receiver.requests.length === 1);
  await redis.del(keys.outbox);
  await installation.endJob(receiver.url);
  await until('the second', () => receiver.requests.length === 2);
});
