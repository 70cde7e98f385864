import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverySchema, type OutboxEvent, outboxEventSchema } from '@glyphmill/contract/delivery';
import { jobEventSchema } from '@glyphmill/contract/event';
import { eventTypeSchema } from '@glyphmill/contract/event-type';
import { newId, timeOfId } from '@glyphmill/contract/id';
import { type Task, taskSchema } from '@glyphmill/contract/message';
import type { EndpointRecord } from '@glyphmill/queue/endpoint-record';
import { fanOut } from '@glyphmill/queue/fan-out';
import { type JobEnd, jobEvent } from '@glyphmill/queue/job-event';

const event = (changes: Partial<OutboxEvent> = {}): OutboxEvent => ({
  id: newId('evt'),
  tenant: 'acme',
  type: 'job.succeeded',
  body: '{}',
  url: null,
  endpointIds: null,
  ...changes,
});

const endpoint = (changes: Partial<EndpointRecord> = {}): EndpointRecord => ({
  id: newId('whk'),
  tenant: 'acme',
  url: 'https://hooks.example/',
  events: null,
  description: '',
  enabled: true,
  createdAtMs: 0,
  disabledReason: null,
  disabledAtMs: null,
  failingSinceMs: null,
  sealedSecret: '',
  previous: null,
  ...changes,
});

const idsOf = (of: OutboxEvent, endpoints: EndpointRecord[]) =>
  fanOut(of, endpoints).map(({ delivery: { target } }) =>
    target.kind === 'endpoint' ? target.endpointId : target.url,
  );

test('an event goes to the enabled endpoints whose filter has its type', () => {
  const all = endpoint();
  const filtered = endpoint({ events: ['job.failed', 'job.succeeded'] });
  const others = [endpoint({ events: ['job.failed'] }), endpoint({ enabled: false })];
  assert.deepEqual(idsOf(event(), [all, ...others, filtered]), [all.id, filtered.id]);
  assert.deepEqual(idsOf(event({ type: 'something.new' }), [all, filtered]), [all.id]);
});

test('named endpoints are a choice among those that want the event', () => {
  const [one, two, off, uninterested] = [
    endpoint(),
    endpoint(),
    endpoint({ enabled: false }),
    endpoint({ events: ['job.failed'] }),
  ];
  const endpointIds = [two.id, off.id, uninterested.id, newId('whk')];
  assert.deepEqual(idsOf(event({ endpointIds }), [one, two, off, uninterested]), [two.id]);
});

test('a ping and a redelivery reach whom they name, filter or not', () => {
  const [one, two] = [endpoint({ events: ['job.failed'] }), endpoint()];
  assert.deepEqual(idsOf(event({ type: 'webhook.ping', endpointIds: [one.id] }), [one, two]), [one.id]);
  assert.deepEqual(idsOf(event({ redelivery: 'a', endpointIds: [one.id] }), [one, two]), [one.id]);
});

test('an event with an address of its own is one delivery, whatever endpoints there are', () => {
  const url = 'https://own.example/';
  assert.deepEqual(idsOf(event({ url }), [endpoint()]), [url]);
});

test('the same event becomes the same deliveries again, and a redelivery others of the same id', () => {
  const told = event();
  const endpoints = [endpoint(), endpoint()];
  const once = fanOut(told, endpoints);
  assert.deepEqual(fanOut(told, endpoints), once);
  assert.equal(new Set(once.map(({ jobId }) => jobId)).size, 2);
  const again = fanOut({ ...told, redelivery: newId('att') }, endpoints);
  assert.deepEqual(
    again.map(({ delivery }) => delivery.id),
    once.map(({ delivery }) => delivery.id),
  );
  assert.equal(new Set([...once, ...again].map(({ jobId }) => jobId)).size, 4);
  for (const { jobId, delivery } of [...once, ...again]) {
    deliverySchema.parse(delivery);
    assert.ok(!jobId.includes(':'), 'the queue takes no colon');
  }
});

const task = (webhook: Task['webhook']): Task =>
  taskSchema.parse({
    document: { bucket: 'in', key: 'a', versionId: null, ifMatch: null },
    inline: null,
    mode: 'document',
    model: 'default',
    options: {},
    webhook,
    priority: 'normal',
    ttlSeconds: 3600,
    timeoutSeconds: null,
    places: null,
    metadata: { ref: '9912' },
  });
const end = (changes: Partial<JobEnd> = {}): JobEnd => ({
  jobId: newId('job'),
  tenant: 'acme',
  task: task(null),
  status: 'succeeded',
  pages: 3,
  failure: null,
  ...changes,
});
const at = { eventId: newId('evt'), nowMs: 1_700_000_000_000 };

test('each end of a job has its event, and a result where there is one to read', () => {
  for (const status of ['succeeded', 'partial', 'failed', 'canceled', 'expired'] as const) {
    const told = jobEvent(end({ status }), at);
    assert.ok(told !== undefined, 'it is there');
    outboxEventSchema.parse(told);
    const { type, data } = jobEventSchema.parse(JSON.parse(told.body));
    assert.deepEqual([told.type, type, data.status], [`job.${status}`, `job.${status}`, status]);
    assert.ok(eventTypeSchema.options.includes(type), 'it is in the list of events');
    assert.equal(data.result !== null, status === 'succeeded' || status === 'partial');
    assert.deepEqual([told.url, told.endpointIds], [null, null]);
  }
});

test('a job is told to whom it named, of the ends that it chose', () => {
  const own = { url: 'https://own.example/', events: ['job.failed'] };
  assert.equal(jobEvent(end({ task: task(own) }), at), undefined);
  const failed = end({ task: task(own), status: 'failed' });
  assert.equal(jobEvent(failed, at)?.url, own.url);
  const every = end({ task: task({ ...own, events: null }) });
  assert.equal(jobEvent(every, at)?.url, own.url);
  const endpointIds = [newId('whk')];
  const named = jobEvent(end({ task: task({ endpointIds, events: null }) }), at);
  assert.deepEqual([named?.url, named?.endpointIds], [null, endpointIds]);
});

test('a job whose task cannot be read is told to all endpoints', () => {
  const told = jobEvent(end({ task: null, status: 'failed', pages: null }), at);
  assert.deepEqual([told?.type, told?.url, told?.endpointIds], ['job.failed', null, null]);
});

test('an id tells when it was made', () => {
  const beforeMs = Date.now();
  const madeMs = timeOfId(newId('evt'));
  assert.ok(madeMs >= beforeMs && madeMs <= Date.now(), `${madeMs}`);
});
