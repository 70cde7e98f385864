import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openJobStore } from '@glyphmill/queue/job-store';
import { startProxy } from '../faults/proxy.ts';
import { startRedisServer } from '../faults/redis-server.ts';
import { newShard, testLimits } from './queue-setup.ts';

/** Longer than the API waits for one command. */
const slowMs = 2500;

test('an answer that came too late at the start does not spoil the queue for good', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-slow-start-'));
  const redis = await startRedisServer(dir);
  const proxy = await startProxy(redis.port);
  try {
    // The INFO without a section that follows ours is BullMQ's, which asks once and remembers how that went.
    const trap = proxy.trap(/persistence\r\n\*1\r\n\$4\r\ninfo\r\n/i, 'after');
    const address = { url: `redis://127.0.0.1:${proxy.port}`, shard: newShard() };
    const store = await openJobStore(address, {
      limits: testLimits,
      onError: () => {},
      onWarning: () => {},
    });
    const asked = await Promise.race([trap.seen.then(() => true), store.ping().then(() => false)]);
    if (asked) await delay(slowMs);
    trap.release();
    assert.deepEqual(await store.counts(), { waiting: 0, active: 0, delayed: 0 });
    await store.close();
  } finally {
    await proxy.close();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  }
});
