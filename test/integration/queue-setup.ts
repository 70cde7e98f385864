import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newId } from '@glyphmill/contract/id';
import { type Task, taskSchema } from '@glyphmill/contract/message';
import { startRedis } from '@glyphmill/embedded/redis';
import { type Attempt, claim, begin as noteBegun, type Read } from '@glyphmill/queue/attempt';
import { connectConsumer, type Redis } from '@glyphmill/queue/connection';
import type { Limits } from '@glyphmill/queue/create';
import { openJobStore } from '@glyphmill/queue/job-store';
import { type Keys, keysOf, type QueueAddress } from '@glyphmill/queue/keys';

/** Shared by every test run of this checkout, so that at most the first one downloads. */
const cacheDir = fileURLToPath(new URL('../../.glyphmill/cache', import.meta.url));
const pollMs = 10;

/** A Redis of the test's own; `stop` leaves nothing behind. */
export async function startTestRedis(extraArgs: string[] = []) {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-test-'));
  const redis = await startRedis({ dir, cacheDir, extraArgs });
  return {
    url: redis.url,
    pid: redis.pid,
    async stop() {
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Polls until `check` answers something other than false or undefined, and fails with `what` after `deadlineMs`. */
export async function until<T>(
  what: string,
  check: () => Promise<T | false | undefined> | T | false | undefined,
  deadlineMs = 10_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = await check();
    if (found !== false && found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await delay(pollMs);
  }
}

let shards = 0;
/** A name that no other test of this process uses, so that tests share a server and no key. */
export function newShard(): string {
  shards += 1;
  return `t${process.pid}-${shards}`;
}

function newTask(changes: Partial<Task> = {}): Task {
  return taskSchema.parse({
    document: { bucket: 'in', key: 'scan.png', versionId: null, ifMatch: null },
    inline: null,
    mode: 'document',
    model: 'default',
    options: {},
    webhook: null,
    priority: 'normal',
    ttlSeconds: 3600,
    timeoutSeconds: null,
    places: null,
    metadata: {},
    ...changes,
  });
}

export function newJob(changes: Partial<Task> = {}, tenant = 'acme') {
  return { id: newId('job'), tenant, task: newTask(changes) };
}

export const succeeded: Read = {
  status: 'succeeded',
  result: { kind: 'inline', json: '{"text":"Invoice 123"}' },
  warnings: [],
  usage: { pages: 3, lines: 40, megapixels: 8.7 },
  timings: { queueMs: 1, fetchMs: 2, decodeMs: 3, detectMs: 4, recognizeMs: 5, totalMs: 15 },
  pagesFailed: 0,
};

/** Limits that no test reaches by chance. */
export const testLimits: Limits = {
  maxWaiting: 1000,
  tenant: { jobs: 1000, pages: 1000, megapixels: 1000 },
};

/** Begins an attempt that must be there to begin. */
export async function begin(redis: Redis, keys: Keys, jobId: string): Promise<Attempt> {
  const worker = newId('wrk');
  const round = Number((await redis.hget(keys.record(jobId), 'round')) ?? 0);
  const claimed = await claim(redis, keys, { jobId, round, worker });
  if (claimed.kind !== 'claimed') throw new Error(`expected an attempt at ${jobId}, got ${claimed.kind}`);
  await noteBegun(redis, keys, { attempt: claimed.attempt, worker });
  return claimed.attempt;
}

/** A queue of the test's own in a shared Redis, as the API and a worker hold it. */
export async function withTestQueue(
  url: string,
  run: (queue: TestQueue) => Promise<void>,
  limits: Partial<Limits> = {},
): Promise<void> {
  const address: QueueAddress = { url, shard: newShard() };
  const redis = connectConsumer(address.url, () => {});
  const store = await openJobStore(address, {
    limits: { ...testLimits, ...limits },
    onError: () => {},
    onWarning: () => {},
  });
  try {
    await run({ address, redis, store, keys: keysOf(address.shard) });
  } finally {
    await store.close();
    redis.disconnect();
  }
}

export interface TestQueue {
  address: QueueAddress;
  redis: Redis;
  store: Awaited<ReturnType<typeof openJobStore>>;
  keys: Keys;
}
