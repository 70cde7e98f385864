import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startConsumer } from '@glyphmill/queue/consumer';
import { openJobStore } from '@glyphmill/queue/job-store';
import { keysOf } from '@glyphmill/queue/keys';
import { startProxy } from '../faults/proxy.ts';
import { startRedisServer } from '../faults/redis-server.ts';
import { newJob, newShard, succeeded, testLimits, until } from './queue-setup.ts';

const concurrency = 48;
/** Either way. */
const latencyMs = 100;

test('a worker far away from Redis begins with the first jobs long before it has all it may hold', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-far-'));
  const redis = await startRedisServer(dir);
  const proxy = await startProxy(redis.port);
  const shard = newShard();
  const store = await openJobStore(
    { url: `redis://127.0.0.1:${redis.port}`, shard },
    { limits: testLimits, onError: () => {}, onWarning: () => {} },
  );
  try {
    for (let count = 0; count < concurrency; count += 1) await store.submit(newJob());
    proxy.travel({ latencyMs });
    const begunAtMs: number[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const consumer = await startConsumer({
      address: { url: `redis://127.0.0.1:${proxy.port}`, shard },
      concurrency,
      handler: async () => {
        begunAtMs.push(performance.now());
        await released;
        return succeeded;
      },
      models: () => [],
      onAttempt: () => {},
      onWarning: () => {},
    });
    const openedMs = performance.now();
    await until('all are in hand', () => begunAtMs.length === concurrency, 30_000);
    const firstMs = (begunAtMs[0] ?? 0) - openedMs;
    // One after the other it takes to bring all of them.
    const inTurnMs = concurrency * 2 * latencyMs;
    assert.ok(firstMs < inTurnMs / 2, `the first began after ${Math.round(firstMs)} ms`);
    release();
    const { prefix } = keysOf(shard);
    await until('all have ended', async () => (await redis.client.llen(`${prefix}:documents:active`)) === 0);
    await consumer.close(1000);
  } finally {
    await store.close();
    await proxy.close();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  }
});
