import assert from 'node:assert/strict';
import { deliveryListSchema, endpointSchema, endpointWithSecretSchema } from '@glyphmill/contract/endpoint';
import { type Caller, type Stores, startApi } from './api-setup.ts';
import { newShard, until } from './queue-setup.ts';
import { openInstallation, type Received, signingKey, startReceiver } from './webhook-setup.ts';

/** An API, what ends jobs, and webhook processes, in one installation of the test's own. */
export async function openSystem(stores: Stores, overrides: Record<string, string> = {}) {
  const shard = newShard();
  const api = await startApi(stores, {
    REDIS_SHARD: shard,
    WEBHOOK_SIGNING_KEY: signingKey,
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8',
    ...overrides,
  });
  const installation = await openInstallation(stores.env.REDIS_URL, shard);
  const receivers: { close(): Promise<void> }[] = [];
  return {
    ...installation,
    api,
    /** Once every event has become deliveries, and every delivery has ended. */
    settled: () =>
      until('nothing is on the way', async () => {
        const { redis, keys } = installation;
        const name = (state: string) => `${keys.prefix}:deliveries:${state}`;
        const left = [
          await redis.xlen(keys.outbox),
          await redis.zcard(name('delayed')),
          await redis.llen(name('wait')),
          await redis.llen(name('active')),
        ];
        return left.every((count) => count === 0);
      }),
    async receive(...options: Parameters<typeof startReceiver>) {
      const receiver = await startReceiver(...options);
      receivers.push(receiver);
      return receiver;
    },
    async close() {
      await Promise.all(receivers.map((receiver) => receiver.close()));
      await installation.close();
      await api.close();
    },
  };
}
export type System = Awaited<ReturnType<typeof openSystem>>;

export async function register(caller: Caller, endpoint: { url: string; [field: string]: unknown }) {
  const answer = await caller.call('POST', '/v1/webhook-endpoints', { json: endpoint });
  assert.equal(answer.status, 201, answer.text);
  return endpointWithSecretSchema.parse(answer.json());
}

export async function lookAt(caller: Caller, id: string) {
  return endpointSchema.parse((await caller.get(`/v1/webhook-endpoints/${id}`)).json());
}

export async function change(caller: Caller, id: string, json: object) {
  const answer = await caller.call('PATCH', `/v1/webhook-endpoints/${id}`, { json });
  assert.equal(answer.status, 200, answer.text);
  return endpointSchema.parse(answer.json());
}

export async function deliveriesOf(caller: Caller, id: string) {
  return deliveryListSchema.parse((await caller.get(`/v1/webhook-endpoints/${id}/deliveries`)).json()).data;
}

/** The requests of a receiver once there are `count` of them. */
export const received = ({ requests }: { requests: Received[] }, count: number) =>
  until(`${count} requests`, () => requests.length >= count && requests);

export const typesOf = (requests: readonly Received[]): string[] =>
  requests.map(({ body }) => JSON.parse(body).type);
