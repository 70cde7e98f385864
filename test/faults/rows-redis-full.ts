import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { until } from '../integration/queue-setup.ts';
import { lineDocument, openLedger } from './ledger.ts';
import { startLoad } from './load.ts';
import { type Row, Skip, seconds } from './row.ts';
import { documentsBucket } from './s3-double.ts';
import { callOf } from './scripts.ts';
import type { FaultSystem } from './system.ts';
import { within } from './waiting.ts';
import { msUntilWorking, settle } from './working.ts';

const fullMs = 6000;
/** More than are made at once (batch-ingest.ts). */
const batchItems = 300;
/** What Redis may use while it is full: less than it does, so that every write that needs memory is refused. */
const noMemory = '1mb';
const batchDeadlineMs = 150_000;

export const redisMemory: Row = {
  number: 21,
  fault: `Redis is at its maxmemory for ${seconds(fullMs)} under load, a batch of ${batchItems} in the making`,
  promise: 'the API answers 503, the batch waits and is then made whole, every job ends',
  async run(system) {
    const ledger = openLedger(system, 'row-21');
    const { client } = system.redis;
    const [, usual = ''] = await client.config('GET', 'maxmemory');
    const load = startLoad(ledger);
    try {
      await until('the load runs', () => load.accepted > 20);
      // The first of its jobs are made, and that is about to be noted.
      const noting = system.proxy.trap(callOf('batch-advance'), 'before');
      const batch = await submitBatch(system);
      await within('the first jobs of the batch are made', noting.seen);
      await client.config('SET', 'maxmemory', noMemory);
      const atMs = performance.now();
      noting.release();
      await until('callers are refused', () => load.answers.at(-1)?.status === 503);
      await delay(fullMs - (performance.now() - atMs));
      await client.config('SET', 'maxmemory', usual);
      const tookMs = await msUntilWorking(ledger);
      const settled = await settle(ledger, load);
      await expectWhole(system, batch);
      return `${seconds(tookMs)} until a job ended again, ${settled}`;
    } finally {
      await client.config('SET', 'maxmemory', usual);
      await load.stop();
    }
  },
};

/** Answers the batch's id. */
async function submitBatch(system: FaultSystem): Promise<string> {
  const key = 'row-21/batch';
  await system.put(key, lineDocument(0).bytes);
  const item = { source: { type: 's3', bucket: documentsBucket, key } };
  const response = await system.call('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ items: Array.from({ length: batchItems }, () => item), mode: 'line' }),
  });
  const body: unknown = await response.json();
  assert.equal(response.status, 202, JSON.stringify(body));
  return batchSchema.parse(body).id;
}

const batchSchema = z.object({
  id: z.string(),
  status: z.string(),
  ingest: z.object({ state: z.string(), indexed: z.int() }),
  counts: z.record(z.string(), z.int()),
});

async function readBatch(system: FaultSystem, id: string): Promise<z.infer<typeof batchSchema>> {
  const response = await system.call(`/v1/batches/${id}`);
  const body: unknown = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return batchSchema.parse(body);
}

/** Every item became one job, and each of these succeeded. */
async function expectWhole(system: FaultSystem, id: string): Promise<void> {
  await until(
    'P1: the batch is completed',
    async () => (await readBatch(system, id)).status === 'completed',
    batchDeadlineMs,
  );
  const { counts, ingest } = await readBatch(system, id);
  const inAll = Object.values(counts).reduce((sum, count) => sum + count, 0);
  assert.deepEqual(
    { succeeded: counts.succeeded, inAll, indexed: ingest.indexed },
    { succeeded: batchItems, inAll: batchItems, indexed: batchItems },
    'P1, P2: each item of the batch is one job',
  );
}

const diskMegabytes = 64;

export const redisDisk: Row = {
  number: 22,
  fault: `the disk of Redis is full for ${seconds(fullMs)} under load`,
  promise: 'the API answers 503, and takes jobs again by itself once there is room',
  async run(system) {
    const ledger = openLedger(system, 'row-22');
    const disk = await useSmallDisk(system);
    const load = startLoad(ledger);
    let figures = '';
    try {
      await until('the load runs', () => load.accepted > 20, 60_000);
      const filler = join(disk.dir, 'filler');
      await fill(filler);
      await until('callers are refused', () => load.answers.at(-1)?.status === 503, 20_000);
      await delay(fullMs);
      await rm(filler);
      const tookMs = await msUntilWorking(ledger);
      figures = `${seconds(tookMs)} until a job ended again, ${await settle(ledger, load)}`;
    } finally {
      await load.stop();
      await disk.leave();
    }
    // Redis was started once more.
    await msUntilWorking(ledger);
    await ledger.check();
    return figures;
  },
};

const run = promisify(execFile);

/** Moves the data of Redis, which is started anew for it, to a small file system in memory. */
async function useSmallDisk({ dir, redis }: FaultSystem): Promise<{ dir: string; leave(): Promise<void> }> {
  const data = join(dir, 'redis');
  const aside = await mkdtemp(join(tmpdir(), 'glyphmill-aside-'));
  await redis.kill();
  const leave = async () => {
    await redis.kill();
    await run('cp', ['-a', `${data}/.`, aside]);
    await run('umount', [data]);
    await run('cp', ['-a', `${aside}/.`, data]);
    await rm(aside, { recursive: true });
    await redis.start();
  };
  try {
    await run('cp', ['-a', `${data}/.`, aside]);
    await run('mount', ['-t', 'tmpfs', '-o', `size=${diskMegabytes}m`, 'tmpfs', data]);
  } catch (error) {
    await rm(aside, { recursive: true });
    await redis.start();
    throw new Skip(`no file system can be mounted here: ${error instanceof Error ? error.message : error}`);
  }
  await run('cp', ['-a', `${aside}/.`, data]);
  await redis.start();
  return { dir: data, leave };
}

/** Until the disk is full. */
async function fill(file: string): Promise<void> {
  const chunk = Buffer.alloc(256_000);
  for (;;) {
    try {
      await writeFile(file, chunk, { flag: 'a' });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return;
      throw error;
    }
  }
}
