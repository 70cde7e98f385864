// API processes that are killed while they make the jobs of a batch.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { batchSchema } from '@glyphmill/contract/batch';
import { connectConsumer } from '@glyphmill/queue/connection';
import { keysOf } from '@glyphmill/queue/keys';
import { newApiKey } from '@glyphmill/service/api-key';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { type Stores, startStores } from './api-setup.ts';
import { longMs, manifestOf } from './batch-setup.ts';
import { until } from './queue-setup.ts';

const main = fileURLToPath(new URL('../../apps/api/src/main.ts', import.meta.url));
const { key, entry } = newApiKey({ tenant: 'acme', scopes: ['admin'] });
const shard = 'killed';

let stores: Stores;
const children = new Set<ChildProcess>();
before(async () => {
  stores = await startStores();
  await writeFile(stores.env.API_KEYS_FILE, JSON.stringify([entry]));
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await stores.stop();
});

/** Resolves when the API listens. */
async function startProcess(): Promise<{ address: string; kill(signal: NodeJS.Signals): Promise<void> }> {
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    env: {
      PATH: process.env.PATH,
      ...stores.env,
      REDIS_SHARD: shard,
      API_PORT: '0',
      METRICS_PORT: '0',
      LOG_LEVEL: 'info',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const line = await until(
    'the API to listen',
    () => printed.split('\n').find((text) => text.includes('"the API listens"')),
    longMs,
  );
  return {
    address: String(JSON.parse(line).address),
    async kill(signal) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
      children.delete(child);
    },
  };
}

test('with API processes killed, one after the other, 20,000 lines become exactly 20,000 jobs', async () => {
  const count = 20_000;
  const objects = openObjectStore({
    endpoint: stores.env.S3_ENDPOINT,
    region: 'us-east-1',
    accessKeyId: stores.env.S3_ACCESS_KEY_ID,
    secretAccessKey: stores.env.S3_SECRET_ACCESS_KEY,
    forcePathStyle: true,
  });
  await objects.ensureBucket('in-box');
  const upload = { contentType: 'application/jsonl', signal: AbortSignal.timeout(30_000) };
  await objects.write({ bucket: 'in-box', key: 'm.jsonl' }, Buffer.from(manifestOf(count)), upload);
  const redis = connectConsumer(stores.redis.url, () => {});
  const keys = keysOf(shard);

  let running = [await startProcess(), await startProcess()];
  const call = async (method: string, path: string, json?: object) => {
    const response = await fetch(`${running.at(-1)?.address}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    return batchSchema.parse(await response.json());
  };
  const { id } = await call('POST', '/v1/batches', { manifest: { bucket: 'in-box', key: 'm.jsonl' } });
  const batch = () => call('GET', `/v1/batches/${id}`);
  // Both, so that whichever has the batch in hand dies with it.
  for (const [made, signal] of [
    [3000, 'SIGKILL'],
    [9000, 'SIGKILL'],
    [15_000, 'SIGTERM'],
  ] as const) {
    await until(`${made} jobs`, async () => (await batch()).jobCount >= made, longMs);
    const before = await batch();
    assert.equal(before.status, 'ingesting', 'all were made before anybody was killed');
    await Promise.all(running.map((one) => one.kill(signal)));
    running = [await startProcess()];
  }
  const done = await until(
    'all jobs',
    async () => {
      const found = await batch();
      return found.ingest.state === 'done' && found;
    },
    longMs,
  );
  assert.deepEqual([done.jobCount, done.counts.queued, done.rejectedCount], [count, count, 0]);
  assert.equal(await redis.zcard(keys.tenantJobs('acme')), count);
  const places = new Set<string>();
  for (let from = 0; from < count; from += 1000) {
    const ids = await redis.zrange(keys.tenantJobs('acme'), `${from}`, `${from + 999}`);
    const pipeline = redis.pipeline();
    for (const jobId of ids) pipeline.hget(keys.record(jobId), 'index');
    for (const [, index] of (await pipeline.exec()) ?? []) places.add(String(index));
  }
  assert.equal(places.size, count, 'lines that became jobs');
  for (const one of running) await one.kill('SIGTERM');
  redis.disconnect();
  objects.close();
});
