import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type Caller, type Stores, startStores } from './api-setup.ts';
import { until } from './queue-setup.ts';
import { ended, metric, signingKey, verified, verifiedWith } from './webhook-setup.ts';
import {
  change,
  deliveriesOf,
  lookAt,
  openSystem,
  received,
  register,
  type System,
  typesOf,
} from './webhook-system.ts';

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

const failure = { code: 'corrupt-document', message: 'no', retryable: false, phase: 'decode' } as const;
const failed = { outcome: { status: 'failed', failure } } as const;

test('every job of a tenant is told to its endpoints, each with its own secret and by its own filter', async () => {
  const [all, failures, off, foreign] = await Promise.all([1, 2, 3, 4].map(() => system.receive()));
  assert.ok(all && failures && off && foreign, 'they are there');
  const one = await register(caller, { url: all.url });
  const two = await register(caller, { url: failures.url, events: ['job.failed'] });
  await register(caller, { url: off.url, enabled: false });
  await register(system.api.caller({ tenant: 'beta' }), { url: foreign.url });
  await system.startApp();
  await system.endJob(null);
  const failedId = await system.endJob(null, failed);
  await system.settled();
  assert.deepEqual(typesOf(all.requests).sort(), ['job.failed', 'job.succeeded']);
  assert.deepEqual(typesOf(failures.requests), ['job.failed']);
  assert.equal(off.requests.length + foreign.requests.length, 0);
  for (const request of all.requests) verifiedWith(one.secret, request);
  const [request] = failures.requests;
  assert.ok(request !== undefined, 'it is there');
  verifiedWith(two.secret, request);
  assert.throws(() => verifiedWith(one.secret, request), 'another endpoint’s secret');
  assert.throws(() => verified(request), 'the tenant’s secret');
  const same = all.requests.find(({ body }) => JSON.parse(body).data.jobId === failedId);
  assert.equal(request.id, same?.id, 'one event has one webhook-id at all receivers');
});

test('a job that names its own receivers is told to nobody else, and about nothing it did not choose', async () => {
  const [first, second, own] = await Promise.all([1, 2, 3].map(() => system.receive()));
  assert.ok(first && second && own, 'they are there');
  const { id } = await register(caller, { url: first.url });
  await register(caller, { url: second.url });
  await system.startApp();
  await system.endJob(own.url);
  await system.endJob({ endpointIds: [id], events: null });
  await system.endJob({ endpointIds: [id], events: ['job.failed'] });
  await system.endJob(null);
  await system.settled();
  assert.equal(second.requests.length, 1, 'only the job that named nobody');
  assert.equal(first.requests.length, 2, 'not the end that the third job did not choose');
  assert.ok(own.requests[0] !== undefined, 'it is there');
  verified(own.requests[0]);
});

test('without anybody who could want it an event is not even written', async () => {
  await system.endJob(null);
  assert.equal(await system.redis.xlen(system.keys.outbox), 0);
  const { id } = await register(caller, { url: 'http://127.0.0.1:9/' });
  await system.endJob(null);
  assert.equal(await system.redis.xlen(system.keys.outbox), 1);
  await caller.call('DELETE', `/v1/webhook-endpoints/${id}`);
  await system.endJob(null);
  assert.equal(await system.redis.xlen(system.keys.outbox), 1);
});

test('for 24 hours after a rotation both secrets verify each delivery, and then only the new one', async () => {
  const receiver = await system.receive();
  const { id, secret: old } = await register(caller, { url: receiver.url });
  await system.startApp();
  const answer = await caller.call('POST', `/v1/webhook-endpoints/${id}/rotate-secret`);
  const { secret, previousSecretExpiresAt } = JSON.parse(answer.text);
  const hours = (Date.parse(previousSecretExpiresAt) - Date.now()) / 3_600_000;
  assert.ok(hours > 23.9 && hours <= 24, `${hours} hours`);
  await system.endJob(null);
  const [during] = await received(receiver, 1);
  assert.ok(during !== undefined, 'it is there');
  assert.equal(String(during.headers['webhook-signature']).split(' ').length, 2);
  verifiedWith(old, during);
  verifiedWith(secret, during);
  await system.redis.hset(system.keys.endpoint(id), 'previousUntil', Date.now() - 1);
  await system.endJob(null);
  const [, afterwards] = await received(receiver, 2);
  assert.ok(afterwards !== undefined, 'it is there');
  verifiedWith(secret, afterwards);
  assert.throws(() => verifiedWith(old, afterwards), 'its time is over');
});

test('a rotation also changes who signs what already waits', async () => {
  const receiver = await system.receive((response, turn) => response.writeHead(turn === 1 ? 500 : 204).end());
  const { id } = await register(caller, { url: receiver.url });
  await system.startApp({ delaysMs: [500] });
  await system.endJob(null);
  await received(receiver, 1);
  const answer = await caller.call('POST', `/v1/webhook-endpoints/${id}/rotate-secret`);
  const [, second] = await received(receiver, 2);
  assert.ok(second !== undefined, 'it is there');
  verifiedWith(JSON.parse(answer.text).secret, second);
});

test('what a stranger tries with an endpoint changes nothing about its deliveries', async () => {
  const receiver = await system.receive();
  const { id, secret } = await register(caller, { url: receiver.url });
  await system.startApp();
  await system.endJob(null);
  await received(receiver, 1);
  const [logged] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found.length > 0 && found;
  });
  const stranger = system.api.caller({ tenant: 'beta' });
  for (const [method, path, json] of [
    ['PATCH', `/v1/webhook-endpoints/${id}`, { enabled: false }],
    ['POST', `/v1/webhook-endpoints/${id}/rotate-secret`],
    ['POST', `/v1/webhook-endpoints/${id}/test`],
    ['POST', `/v1/webhook-deliveries/${logged?.id}/redeliver`],
    ['DELETE', `/v1/webhook-endpoints/${id}`],
  ] as const) {
    await stranger.refused('not-found', method, path, json === undefined ? {} : { json });
  }
  await system.endJob({ endpointIds: [id], events: null }, { tenant: 'beta' });
  await system.endJob(null);
  await system.settled();
  assert.equal(receiver.requests.length, 2);
  for (const request of receiver.requests) {
    verifiedWith(secret, request);
    assert.doesNotMatch(String(request.headers['webhook-signature']), / /, 'one signature');
  }
});

test('a ping comes whatever the filter says, and the answer names the delivery that the log shows', async () => {
  const receiver = await system.receive();
  const other = await system.receive();
  const { id, secret } = await register(caller, { url: receiver.url, events: ['batch.completed'] });
  await register(caller, { url: other.url });
  await system.startApp();
  const answer = await caller.call('POST', `/v1/webhook-endpoints/${id}/test`);
  const ping = JSON.parse(answer.text);
  assert.deepEqual([answer.status, ping.status, ping.attempts], [202, 'pending', []]);
  const [request] = await received(receiver, 1);
  assert.ok(request !== undefined, 'it is there');
  assert.deepEqual(verifiedWith(secret, request), {
    type: 'webhook.ping',
    timestamp: ping.createdAt,
    data: { endpointId: id },
  });
  assert.equal(request.id, ping.eventId);
  const [logged] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found[0]?.status === 'delivered' && found;
  });
  assert.deepEqual([logged?.id, logged?.createdAt], [ping.id, ping.createdAt]);
  assert.equal(other.requests.length, 0);
});

test('the log tells each attempt, and what was given up is sent again under the same webhook-id', async () => {
  let code = 503;
  const receiver = await system.receive((response) => response.writeHead(code).end());
  const { id } = await register(caller, { url: receiver.url });
  const app = await system.startApp({ delaysMs: [10] });
  await system.endJob(null);
  await until('end', async () => (await metric(app.metricsPort, ended('given-up'))) === 1);
  const [given] = await deliveriesOf(caller, id);
  assert.ok(given !== undefined, 'it is there');
  assert.deepEqual([given.status, given.type, given.nextAttemptAt], ['given-up', 'job.succeeded', null]);
  assert.deepEqual(
    given.attempts.map(({ statusCode, error }) => [statusCode, error]),
    [
      [503, 'status 503'],
      [503, 'status 503'],
    ],
  );
  assert.ok(given.attempts.every(({ durationMs, at }) => durationMs >= 0 && Date.parse(at) > 0));
  code = 204;
  const answer = await caller.call('POST', `/v1/webhook-deliveries/${given.id}/redeliver`);
  assert.deepEqual([answer.status, JSON.parse(answer.text).status], [202, 'pending']);
  const requests = await received(receiver, 3);
  assert.equal(new Set(requests.map((request) => request.id)).size, 1);
  assert.equal(new Set(requests.map(({ body }) => body)).size, 1);
  const [done] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found[0]?.status === 'delivered' && found;
  });
  assert.deepEqual(done?.attempts.at(-1)?.error, null);
  assert.equal(done?.attempts.length, 3);
  // What was delivered may be asked for once more too.
  await caller.call('POST', `/v1/webhook-deliveries/${given.id}/redeliver`);
  await received(receiver, 4);
});

test('a redelivery that succeeds leaves nothing for the retry that still waits', async () => {
  const receiver = await system.receive((response, turn) => response.writeHead(turn === 1 ? 500 : 204).end());
  const { id } = await register(caller, { url: receiver.url });
  const app = await system.startApp({ delaysMs: [400] });
  await system.endJob(null);
  const [waiting] = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found.length > 0 && found;
  });
  assert.ok(waiting?.nextAttemptAt, 'it says when');
  await caller.call('POST', `/v1/webhook-deliveries/${waiting.id}/redeliver`);
  await received(receiver, 2);
  await system.settled();
  assert.equal(receiver.requests.length, 2, 'the retry was not sent');
  assert.equal(await metric(app.metricsPort, ended('delivered')), 1);
});

test('the log keeps the 100 deliveries last attempted', async () => {
  const receiver = await system.receive();
  const { id } = await register(caller, { url: receiver.url });
  await system.startApp();
  await Promise.all(Array.from({ length: 103 }, () => system.endJob(null)));
  await received(receiver, 103);
  const kept = await until('log', async () => {
    const found = await deliveriesOf(caller, id);
    return found.length === 100 && found.every(({ status }) => status === 'delivered') && found;
  });
  const told = new Set(receiver.requests.map((request) => request.id));
  assert.ok(
    kept.every(({ eventId }) => told.has(eventId)),
    'each was sent',
  );
  const stored = await until('trimmed', async () => {
    const names = await system.redis.keys(`${system.keys.delivery('').replace('{', '\\{')}*`);
    return names.length === 200 && names;
  });
  assert.equal(await system.redis.zcard(system.keys.endpointLog(id)), 100);
  const livesMs = await Promise.all(stored.map((name) => system.redis.pttl(name)));
  assert.ok(
    livesMs.every((lifeMs) => lifeMs > 0 && lifeMs <= 7 * 86_400_000),
    'all expire',
  );
});

test('410 disables an endpoint at once and tells the others; what waits for it is given up', async () => {
  let code = 500;
  const gone = await system.receive((response) => response.writeHead(code).end());
  const watching = await system.receive();
  const uninterested = await system.receive();
  const { id } = await register(caller, { url: gone.url, events: ['job.succeeded'] });
  await register(caller, { url: watching.url, events: ['webhook.endpoint-disabled'] });
  await register(caller, { url: uninterested.url, events: ['job.expired'] });
  const app = await system.startApp({ delaysMs: [300] });
  await system.endJob(null);
  await received(gone, 1);
  code = 410;
  await system.endJob(null);
  const [told] = await received(watching, 1);
  assert.ok(told !== undefined, 'it is there');
  const event = JSON.parse(told.body);
  assert.deepEqual(
    [event.type, event.data],
    ['webhook.endpoint-disabled', { endpointId: id, reason: 'gone' }],
  );
  const endpoint = await lookAt(caller, id);
  assert.deepEqual([endpoint.enabled, endpoint.disabledReason], [false, 'gone']);
  assert.equal(endpoint.disabledAt, event.timestamp);
  await until('both are given up', async () => (await metric(app.metricsPort, ended('given-up'))) === 2);
  assert.equal(gone.requests.length, 2, 'the first delivery was not tried again');
  const log = await deliveriesOf(caller, id);
  assert.deepEqual(log.map(({ attempts }) => attempts.at(-1)?.error).sort(), [
    'status 410',
    'the endpoint is disabled',
  ]);
  await system.endJob(null);
  await system.settled();
  assert.equal(await metric(app.metricsPort, 'ocr_webhook_endpoints_disabled_total{reason="gone"}'), 1);
  assert.equal((await deliveriesOf(caller, id)).length, 2, 'nothing more is bound for it');
  assert.equal(uninterested.requests.length, 0);
});

test('five days of failures disable an endpoint, a success in between does not, and PATCH enables it again', async () => {
  let code = 500;
  const receiver = await system.receive((response) => response.writeHead(code).end());
  const { id } = await register(caller, { url: receiver.url });
  const app = await system.startApp({ delaysMs: [] });
  const end = async (outcome: 'given-up' | 'delivered', count: number) => {
    await system.endJob(null);
    await until(outcome, async () => (await metric(app.metricsPort, ended(outcome))) === count);
  };
  const backdate = async (days: number) => {
    const since = Date.now() - days * 86_400_000;
    await system.redis.hset(system.keys.endpoint(id), 'failingSince', since);
  };
  await end('given-up', 1);
  const { failingSince } = await lookAt(caller, id);
  assert.ok(failingSince !== null && Date.parse(failingSince) <= Date.now(), 'it says since when');
  await backdate(4.9);
  await end('given-up', 2);
  assert.equal((await lookAt(caller, id)).enabled, true, 'not yet');
  await backdate(5);
  code = 204;
  await end('delivered', 1);
  assert.equal((await lookAt(caller, id)).failingSince, null, 'a success ends it');
  code = 500;
  await end('given-up', 3);
  assert.equal((await lookAt(caller, id)).enabled, true, 'it counts anew');
  await backdate(5);
  await end('given-up', 4);
  const disabled = await lookAt(caller, id);
  assert.deepEqual([disabled.enabled, disabled.disabledReason], [false, 'failing']);
  assert.equal(await metric(app.metricsPort, 'ocr_webhook_endpoints_disabled_total{reason="failing"}'), 1);
  assert.equal(await system.redis.xlen(system.keys.outbox), 0, 'there is nobody else to tell');
  code = 204;
  const enabled = await change(caller, id, { enabled: true });
  assert.deepEqual(
    [enabled.enabled, enabled.disabledReason, enabled.disabledAt, enabled.failingSince],
    [true, null, null, null],
  );
  await end('delivered', 2);
});

test('attempts that failed do not disable an endpoint while another attempt follows', async () => {
  const receiver = await system.receive((response, turn) => response.writeHead(turn === 1 ? 500 : 204).end());
  const { id } = await register(caller, { url: receiver.url });
  await system.redis.hset(system.keys.endpoint(id), 'failingSince', Date.now() - 6 * 86_400_000);
  await system.startApp({ delaysMs: [10] });
  await system.endJob(null);
  await received(receiver, 2);
  await until('success', async () => (await lookAt(caller, id)).failingSince === null);
  assert.equal((await lookAt(caller, id)).enabled, true);
});

test('what waits for an endpoint heeds its new address, and ends with the endpoint', async () => {
  const broken = await system.receive((response) => response.writeHead(500).end());
  const mended = await system.receive();
  const { id } = await register(caller, { url: broken.url });
  const app = await system.startApp({ delaysMs: [300, 300] });
  await system.endJob(null);
  await received(broken, 1);
  await change(caller, id, { url: mended.url });
  await received(mended, 1);
  await change(caller, id, { url: broken.url });
  await system.endJob(null);
  await received(broken, 2);
  assert.equal((await caller.call('DELETE', `/v1/webhook-endpoints/${id}`)).status, 204);
  await until('given up', async () => (await metric(app.metricsPort, ended('given-up'))) === 1);
  assert.equal(broken.requests.length, 2);
  assert.equal(await metric(app.metricsPort, 'ocr_webhook_failures_total{cause="endpoint"}'), 1);
  const left = await system.redis.keys(`*${id}*`);
  assert.deepEqual(
    left.filter((name) => !name.includes(':deliveries:')),
    [],
    'nothing is left of it',
  );
});

test('one slow endpoint holds up no other one, not even at the same host', async () => {
  const waiting: (() => void)[] = [];
  const receiver = await system.receive((response, _turn, request) => {
    if (request.url === '/hook') response.writeHead(204).end();
    else waiting.push(() => response.writeHead(204).end());
  });
  const slow = await register(caller, { url: `${receiver.url}/slow` });
  const fast = await register(caller, { url: receiver.url, events: ['job.failed'] });
  const app = await system.startApp({
    delaysMs: [],
    env: { WEBHOOK_CONCURRENCY: '8', WEBHOOK_TIMEOUT_SECONDS: '20' },
  });
  await Promise.all(Array.from({ length: 6 }, () => system.endJob(null)));
  await until('the slow one has its places', () => waiting.length === 2);
  await system.endJob({ endpointIds: [fast.id], events: null }, failed);
  await until('the fast one', async () => (await metric(app.metricsPort, ended('delivered'))) === 1, 2000);
  assert.equal(waiting.length, 2, 'a quarter of the places');
  await until('all', async () => {
    for (const answer of waiting.splice(0)) answer();
    return (await metric(app.metricsPort, ended('delivered'))) === 7;
  });
  assert.equal((await deliveriesOf(caller, slow.id)).length, 6);
});

test('a signing key that is replaced goes on to sign and to open secrets until it is taken away', async () => {
  const receiver = await system.receive();
  const own = await system.receive();
  const { id, secret } = await register(caller, { url: receiver.url });
  const next = 'next-root-key-next-root-key-next-root-key';
  const both = await system.startApp({
    env: { WEBHOOK_SIGNING_KEY: next, WEBHOOK_PREVIOUS_SIGNING_KEY: signingKey },
  });
  await system.endJob(null);
  await system.endJob(own.url);
  const [opened] = await received(receiver, 1);
  const [derived] = await received(own, 1);
  assert.ok(opened !== undefined && derived !== undefined, 'they are there');
  verifiedWith(secret, opened);
  verified(derived);
  await both.close();
  const app = await system.startApp({ delaysMs: [], env: { WEBHOOK_SIGNING_KEY: next } });
  await system.endJob(null);
  await until('given up', async () => (await metric(app.metricsPort, ended('given-up'))) === 1);
  assert.equal(await metric(app.metricsPort, 'ocr_webhook_failures_total{cause="secret"}'), 1);
  assert.equal((await lookAt(caller, id)).failingSince, null, 'that is no fault of the receiver');
  assert.equal(receiver.requests.length, 1, 'nothing goes out unsigned');
});
