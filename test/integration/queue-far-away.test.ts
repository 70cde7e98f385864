import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { commit } from '@glyphmill/queue/attempt';
import { startConsumer } from '@glyphmill/queue/consumer';
import { startDeliveryConsumer } from '@glyphmill/queue/deliveries';
import { openJobStore } from '@glyphmill/queue/job-store';
import { keysOf, type QueueAddress } from '@glyphmill/queue/keys';
import { startOutboxRelay } from '@glyphmill/queue/outbox';
import { type ProxiedRedis, startProxiedRedis } from './proxied-redis.ts';
import { begin, newJob, newShard, succeeded, testLimits, until } from './queue-setup.ts';

const inHand = 48;
/** Either way. */
const latencyMs = 100;
/** Half of what it takes to bring all of them one after the other. */
const soonMs = (inHand * 2 * latencyMs) / 2;

let server: ProxiedRedis;
before(async () => {
  server = await startProxiedRedis();
});
after(() => server?.stop());

/** A queue with so many jobs, by the address of those who are near and of those who are far away. */
async function withFilled(
  run: (queue: { near: QueueAddress; far: QueueAddress; ids: string[] }) => Promise<void>,
): Promise<void> {
  const shard = newShard();
  const near = { url: server.urls.near, shard };
  const far = { url: server.urls.far, shard };
  const store = await openJobStore(near, { limits: testLimits, onError: () => {}, onWarning: () => {} });
  try {
    const webhook = { url: 'http://127.0.0.1:1/hook', events: null };
    const jobs = Array.from({ length: inHand }, () => newJob({ webhook }));
    for (const job of jobs) await store.submit(job);
    server.proxy.travel({ latencyMs });
    await run({ near, far, ids: jobs.map(({ id }) => id) });
  } finally {
    await store.close();
  }
}

/** Notes when work begins, and lets none of it end before all has begun. */
function createWork() {
  const begunAtMs: number[] = [];
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const openedMs = performance.now();
  return {
    async work(): Promise<void> {
      begunAtMs.push(performance.now());
      if (begunAtMs.length === inHand) release();
      await released;
    },
    async expectSoon(): Promise<void> {
      await until('all are in hand', () => begunAtMs.length >= inHand, 30_000);
      const firstMs = (begunAtMs[0] ?? 0) - openedMs;
      assert.ok(firstMs < soonMs, `the first began after ${Math.round(firstMs)} ms`);
    },
  };
}

test('a worker far away from Redis begins with the first jobs long before it has all it may hold', () =>
  withFilled(async ({ far }) => {
    const { work, expectSoon } = createWork();
    const consumer = await startConsumer({
      address: far,
      concurrency: inHand,
      handler: async () => {
        await work();
        return succeeded;
      },
      models: () => [],
      onAttempt: () => {},
      onWarning: () => {},
    });
    await expectSoon();
    await consumer.close(10_000);
  }));

test('so does a webhook process with deliveries', () =>
  withFilled(async ({ near, far, ids }) => {
    const keys = keysOf(near.shard);
    for (const id of ids) {
      const attempt = await begin(server.redis.client, keys, id);
      await commit(server.redis.client, keys, { attempt, outcome: succeeded });
    }
    const relay = await startOutboxRelay({ address: near, attempts: 2, onError: () => {} });
    const waiting = () => server.redis.client.llen(`${keys.prefix}:deliveries:wait`);
    await until('all are to be delivered', async () => (await waiting()) === inHand);
    await relay.close();
    const { work, expectSoon } = createWork();
    const consumer = await startDeliveryConsumer({
      address: far,
      concurrency: inHand,
      deliver: async () => {
        await work();
        return { kind: 'delivered', statusCode: 204 };
      },
      scheduleMs: () => 10,
      onAttempt: () => {},
      onError: () => {},
    });
    await expectSoon();
    await consumer.close();
  }));
