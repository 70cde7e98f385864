import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type EmbeddedRedis, startRedis } from '@glyphmill/embedded/redis';
import { connectConsumer } from '@glyphmill/queue/connection';
import { openJobStore } from '@glyphmill/queue/job-store';
import { keysOf } from '@glyphmill/queue/keys';
import { newApiKey } from '@glyphmill/service/api-key';
import { openObjectStore } from '@glyphmill/storage/object-store';
import sharp from 'sharp';
import { cacheDir, startObjects } from '../integration/api-setup.ts';
import { writeTinyModel } from '../integration/inference-onnx.ts';
import { newRepository } from '../integration/inference-samples.ts';
import { newJob, newShard, testLimits, until } from '../integration/queue-setup.ts';
import { startApp } from './shutdown-setup.ts';

const bucket = 'in-box';
let dir: string;
let s3: Awaited<ReturnType<typeof startObjects>>;
/** Lines wait a minute for others to come; white ones are read for ever. */
let slow: string;
/** The same, but each line is read at once. */
let quick: string;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-shutdown-'));
  s3 = await startObjects(join(dir, 's3'));
  slow = await newRepository();
  quick = join(dir, 'quick');
  await cp(slow, quick, { recursive: true });
  const extra = 'dynamic_batching { max_queue_delay_microseconds: 60000000 }';
  await writeTinyModel(slow, { name: 'tiny', kind: 'hang', maxBatchSize: 8, extra });
  await writeTinyModel(quick, { name: 'tiny', kind: 'plain', maxBatchSize: 8 });
  const store = openObjectStore(objectStoreConfig());
  await store.ensureBucket(bucket);
  await store.ensureBucket('glyphmill');
  for (const [key, grey] of [
    ['grey.png', 128],
    ['white.png', 255],
  ] as const) {
    const line = { width: 32, height: 8, channels: 3 as const, background: { r: grey, g: grey, b: grey } };
    await store.write({ bucket, key }, await sharp({ create: line }).png().toBuffer(), {
      contentType: 'image/png',
      signal: AbortSignal.timeout(5000),
    });
  }
  store.close();
});
after(async () => {
  await s3?.stop();
  for (const folder of [dir, slow]) await rm(folder, { recursive: true, force: true });
});

function objectStoreConfig() {
  const {
    S3_ENDPOINT: endpoint,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  } = s3.env;
  return { endpoint, accessKeyId, secretAccessKey, region: 'us-east-1', forcePathStyle: true };
}

/** A queue in a Redis of its own, which can be stopped and started again. */
async function openQueue() {
  const redisDir = join(dir, newShard());
  let server: EmbeddedRedis = await startRedis({ dir: redisDir, cacheDir });
  const shard = '0';
  const address = { url: server.url, shard };
  const redis = connectConsumer(server.url, () => {});
  const store = await openJobStore(address, { limits: testLimits, onError: () => {}, onWarning: () => {} });
  const keys = keysOf(shard);
  return {
    redis,
    store,
    keys,
    get redisPid() {
      return server.pid;
    },
    get redisUrl() {
      return server.url;
    },
    startWorker: (repository: string, shutdownSeconds: number) =>
      startApp('worker', {
        ready: 'ready for jobs',
        env: {
          ...s3.env,
          REDIS_URL: server.url,
          MODEL_REPOSITORY: repository,
          RECOGNIZE_MODEL: 'tiny',
          SHUTDOWN_SECONDS: String(shutdownSeconds),
        },
      }),
    async submit(key: string, count: number): Promise<string[]> {
      const jobs = Array.from({ length: count }, () =>
        newJob({ mode: 'line', cache: 'bypass', document: { bucket, key, versionId: null, ifMatch: null } }),
      );
      for (const job of jobs) await store.submit(job);
      return jobs.map(({ id }) => id);
    },
    async states(ids: readonly string[]): Promise<string[]> {
      const records = await Promise.all(ids.map((id) => store.get('acme', id)));
      return records.map((record) => `${record?.status} ${record?.attempt}`);
    },
    /** What may be held against a job: crashes, and BullMQ's attempts spent. */
    async blame(id: string): Promise<number> {
      const crashes = Number(await redis.hget(keys.record(id), 'crashes'));
      return crashes + Number((await redis.hget(`${keys.prefix}:documents:${id}`, 'atm')) ?? 0);
    },
    killRedis: async () => {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    restartRedis: async () => {
      server = await startRedis({ dir: redisDir, cacheDir });
    },
    async close() {
      await store.close();
      redis.disconnect();
      await server.stop();
    },
  };
}

const every = (states: readonly string[], state: string) => states.every((one) => one === state);

test('SIGTERM sends the micro-batch that waits for more lines, and its jobs end before the process does', async () => {
  const queue = await openQueue();
  const worker = await queue.startWorker(slow, 20);
  try {
    const ids = await queue.submit('grey.png', 3);
    await until('all in hand', async () => every(await queue.states(ids), 'running 1'));
    const { code, tookMs } = await worker.stop();
    assert.equal(code, 0, worker.output());
    assert.ok(tookMs < 12_000, `it took ${tookMs} ms`);
    assert.ok(every(await queue.states(ids), 'succeeded 1'), String(await queue.states(ids)));
  } finally {
    await worker.kill();
    await queue.close();
  }
});

test('SIGTERM under load: what would not end is handed back at no cost, exit 0 in time, and read again at once', async () => {
  const queue = await openQueue();
  const worker = await queue.startWorker(slow, 8);
  let next: Awaited<ReturnType<typeof queue.startWorker>> | undefined;
  try {
    const ids = await queue.submit('white.png', 30);
    await until('all in hand', async () => every(await queue.states(ids), 'running 1'), 20_000);
    const waiting = await queue.submit('white.png', 30);
    const { code, tookMs } = await worker.stop();
    assert.equal(code, 0, worker.output());
    assert.ok(tookMs < 8000, `it took ${tookMs} ms`);
    const all = [...ids, ...waiting];
    const states = await queue.states(all);
    assert.ok(!states.some((state) => /running|failed/.test(state)), String(states));
    assert.equal((await queue.store.counts()).active, 0);
    for (const id of all) assert.equal(await queue.blame(id), 0);

    next = await queue.startWorker(quick, 8);
    // Had they only lost their locks, they would come back after 15 seconds at the earliest.
    const succeeded = async () => (await queue.states(all)).every((state) => /^succeeded [12]$/.test(state));
    await until('all read', succeeded, 12_000);
    assert.equal((await next.stop()).code, 0);
  } finally {
    await worker.kill();
    await next?.kill();
    await queue.close();
  }
});

for (const away of ['stopped', 'gone'] as const) {
  test(`SIGTERM while Redis is ${away}: the worker exits within its deadline, and no job is lost`, async () => {
    const queue = await openQueue();
    const worker = await queue.startWorker(slow, 8);
    let next: Awaited<ReturnType<typeof queue.startWorker>> | undefined;
    try {
      const ids = await queue.submit('white.png', 10);
      await until('all in hand', async () => every(await queue.states(ids), 'running 1'));
      if (away === 'stopped') process.kill(queue.redisPid, 'SIGSTOP');
      else await queue.killRedis();
      const { code, tookMs } = await worker.stop();
      assert.equal(code, 0, worker.output());
      assert.ok(tookMs < 8000, `it took ${tookMs} ms`);
      if (away === 'stopped') process.kill(queue.redisPid, 'SIGCONT');
      else await queue.restartRedis();
      next = await queue.startWorker(quick, 8);
      await until('all read', async () => every(await queue.states(ids), 'succeeded 2'), 40_000);
    } finally {
      await worker.kill();
      await next?.kill();
      await queue.close();
    }
  });
}

test('SIGTERM while Redis is gone: the API answers who waits, and exits', async () => {
  const queue = await openQueue();
  const { key, entry } = newApiKey({ tenant: 'acme', scopes: ['admin'] });
  const API_KEYS_FILE = join(dir, 'keys.json');
  await writeFile(API_KEYS_FILE, JSON.stringify([entry]));
  const api = await startApp('api', {
    ready: 'the API listens',
    env: {
      ...s3.env,
      API_KEYS_FILE,
      API_PORT: '0',
      REDIS_URL: queue.redisUrl,
      SHUTDOWN_SECONDS: '10',
      WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
    },
  });
  try {
    const url = /"address":"(http:[^"]+)"/.exec(api.output())?.[1];
    const [id = ''] = await queue.submit('grey.png', 1);
    const headers = { authorization: `Bearer ${key}` };
    const poll = fetch(`${url}/v1/jobs/${id}?wait=60`, { headers });
    await until('the poll is under way', async () => {
      const [, listeners] = await queue.redis.pubsub('NUMSUB', queue.keys.changed(id));
      return Number(listeners) > 0;
    });
    await queue.killRedis();
    const { code, tookMs } = await api.stop();
    assert.equal(code, 0, api.output());
    assert.ok(tookMs < 8000, `it took ${tookMs} ms`);
    assert.equal((await poll).status, 503);
  } finally {
    await api.kill();
    await queue.close();
  }
});
