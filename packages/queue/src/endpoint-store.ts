import type { OutboxEvent } from '@glyphmill/contract/delivery';
import type { UpdateEndpoint } from '@glyphmill/contract/endpoint';
import type { PingEvent } from '@glyphmill/contract/event';
import { newId, timeOfId } from '@glyphmill/contract/id';
import { openAdmission } from './admission.ts';
import { connectProducer, type OnConnectionError, ready } from './connection.ts';
import { type LoggedDelivery, logKeptForMs, readLog, readLogged } from './delivery-log.ts';
import { type EndpointRecord, readEndpoint, readEndpoints } from './endpoint-record.ts';
import { answering } from './errors.ts';
import { deliveryId } from './fan-out.ts';
import { keysOf, type QueueAddress } from './keys.ts';
import { watchPolicy } from './redis-policy.ts';
import { loadScript } from './script.ts';

export interface EndpointAddress {
  tenant: string;
  id: string;
}

/**
 * What the API needs of webhook endpoints. Every method throws QueueUnavailable when Redis does not answer in
 * time; what is undefined or false is not there, or another tenant's.
 */
export interface EndpointStore {
  /** False when the tenant has `maxEndpoints` already. Throws QueueFull while Redis's memory is short. */
  create(endpoint: EndpointRecord, maxEndpoints: number): Promise<boolean>;
  get(address: EndpointAddress): Promise<EndpointRecord | undefined>;
  /** The oldest first. */
  list(tenant: string): Promise<EndpointRecord[]>;
  update(address: EndpointAddress, changes: UpdateEndpoint): Promise<EndpointRecord | undefined>;
  remove(address: EndpointAddress): Promise<boolean>;
  /** From now on `sealedSecret` signs, and until `previousUntilMs` the one before too. */
  rotate(
    address: EndpointAddress,
    secret: { sealedSecret: string; previousUntilMs: number },
  ): Promise<EndpointRecord | undefined>;
  /** Sends the endpoint a `webhook.ping`. Throws QueueFull while Redis's memory is short. */
  ping(endpoint: EndpointRecord): Promise<LoggedDelivery>;
  /** The deliveries to an endpoint that its log has, the last attempted first. */
  deliveries(endpointId: string): Promise<LoggedDelivery[]>;
  delivery(tenant: string, id: string): Promise<LoggedDelivery | undefined>;
  /** Sends a logged delivery once more, under the same webhook-id. Throws QueueFull while Redis's memory is short. */
  redeliver(logged: LoggedDelivery, endpointId: string): Promise<LoggedDelivery>;
  close(): void;
}

const startDeadlineMs = 10_000;

const createScript = loadScript('endpoint-create');
const updateScript = loadScript('endpoint-update');
const rotateScript = loadScript('endpoint-rotate');
const removeScript = loadScript('endpoint-remove');

export async function openEndpointStore(
  address: QueueAddress,
  onError: OnConnectionError,
): Promise<EndpointStore> {
  const keys = keysOf(address.shard);
  const redis = connectProducer(address.url, onError);
  await ready(redis, startDeadlineMs);
  // The job store beside it tells of changes.
  const policy = watchPolicy(redis, { onWarning: () => {} });
  const admission = openAdmission(redis, keys, policy);

  async function get({ tenant, id }: EndpointAddress): Promise<EndpointRecord | undefined> {
    const endpoint = await readEndpoint(redis, keys, id);
    return endpoint?.tenant === tenant ? endpoint : undefined;
  }

  return {
    create: (endpoint, maxEndpoints) =>
      answering(async () => {
        await admission.check('single');
        const { id, tenant, createdAtMs } = endpoint;
        const answer = await createScript.run(redis, keys, {
          keys: [keys.endpoint(id), keys.tenantEndpoints(tenant)],
          args: [id, createdAtMs, maxEndpoints, ...Object.entries(endpointHash(endpoint)).flat()],
        });
        return answer === 'created';
      }),
    get: (endpoint) => answering(() => get(endpoint)),
    list: (tenant) => answering(() => readEndpoints(redis, keys, { tenant, onDamage: onError })),
    update: (endpoint, changes) =>
      answering(async () => {
        const args = [endpoint.tenant, Date.now(), enabledText(changes.enabled), ...fieldsOf(changes)];
        const answer = await updateScript.run(redis, keys, { keys: [keys.endpoint(endpoint.id)], args });
        return answer === 'missing' ? undefined : await get(endpoint);
      }),
    remove: ({ tenant, id }) =>
      answering(async () => {
        const names = [keys.endpoint(id), keys.tenantEndpoints(tenant), keys.endpointLog(id)];
        return (await removeScript.run(redis, keys, { keys: names, args: [tenant, id] })) === 'ok';
      }),
    rotate: (endpoint, { sealedSecret, previousUntilMs }) =>
      answering(async () => {
        const args = [endpoint.tenant, sealedSecret, previousUntilMs];
        const answer = await rotateScript.run(redis, keys, { keys: [keys.endpoint(endpoint.id)], args });
        return answer === 'missing' ? undefined : await get(endpoint);
      }),
    ping: (endpoint) =>
      answering(async () => {
        await admission.check('single');
        const event = pingEvent(endpoint);
        await redis.xadd(keys.outbox, '*', 'event', JSON.stringify(event));
        const { id: eventId, tenant, type, body } = event;
        const id = deliveryId(eventId, endpoint.id);
        const target = { kind: 'endpoint', endpointId: endpoint.id } as const;
        const delivery = { id, eventId, tenant, type, body, target };
        return { delivery, status: 'pending', nextAttemptAtMs: timeOfId(eventId), attempts: [] };
      }),
    deliveries: (endpointId) => answering(() => readLog(redis, keys, endpointId)),
    delivery: (tenant, id) =>
      answering(async () => {
        const logged = await readLogged(redis, keys, id);
        return logged?.delivery.tenant === tenant ? logged : undefined;
      }),
    redeliver: (logged, endpointId) =>
      answering(async () => {
        await admission.check('single');
        const nowMs = Date.now();
        const { id, eventId, tenant, type, body } = logged.delivery;
        const to = { url: null, endpointIds: [endpointId], redelivery: newId('att') };
        const event: OutboxEvent = { id: eventId, tenant, type, body, ...to };
        await redis
          .multi()
          .hset(keys.delivery(id), 'status', 'pending', 'nextAttemptAt', nowMs)
          // Should the log have dropped it meanwhile, what is written here goes by itself.
          .pexpire(keys.delivery(id), logKeptForMs)
          .xadd(keys.outbox, '*', 'event', JSON.stringify(event))
          .exec();
        return { ...logged, status: 'pending', nextAttemptAtMs: nowMs };
      }),
    close: () => {
      policy.close();
      redis.disconnect();
    },
  };
}

function pingEvent({ id: endpointId, tenant }: EndpointRecord): OutboxEvent {
  const id = newId('evt');
  const event: PingEvent = {
    type: 'webhook.ping',
    timestamp: new Date(timeOfId(id)).toISOString(),
    data: { endpointId },
  };
  const { type } = event;
  return {
    id,
    tenant,
    type,
    body: JSON.stringify(event),
    url: null,
    endpointIds: [endpointId],
  };
}

function enabledText(enabled: boolean | undefined): '' | '0' | '1' {
  if (enabled === undefined) return '';
  return enabled ? '1' : '0';
}

/** The fields that changes are kept in, each with its value; another address has no failures yet. */
function fieldsOf({ url, events, description }: UpdateEndpoint): string[] {
  return [
    ...(url === undefined ? [] : ['url', url, 'failingSince', '']),
    ...(events === undefined ? [] : ['events', filterText(events)]),
    ...(description === undefined ? [] : ['description', description]),
  ];
}

/** The fields of its hash, as they are read again. */
function endpointHash(record: EndpointRecord): Record<string, string | number> {
  return {
    id: record.id,
    tenant: record.tenant,
    url: record.url,
    events: filterText(record.events),
    description: record.description,
    enabled: record.enabled ? '1' : '0',
    createdAt: record.createdAtMs,
    disabledReason: record.disabledReason ?? '',
    disabledAt: record.disabledAtMs ?? '',
    secret: record.sealedSecret,
  };
}

function filterText(events: readonly string[] | null): string {
  return events === null ? '' : JSON.stringify(events);
}
