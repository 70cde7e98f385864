import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Task } from '@glyphmill/contract/message';
import { type Result, resultSchema } from '@glyphmill/contract/result';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { type Engine, openEngine } from '@glyphmill/engine/engine';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { type ModelInfo, openModels } from '@glyphmill/inference/models';
import { startConsumer } from '@glyphmill/queue/consumer';
import type { JobRecord } from '@glyphmill/queue/job-record';
import { type CachedResults, openCachedResults } from '@glyphmill/queue/result-cache';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { createPageWriter } from 'glyphmill-worker/live-pages';
import { createPipeline } from 'glyphmill-worker/pipeline';
import { createResultCache } from 'glyphmill-worker/result-cache';
import { newJob, startTestRedis, type TestQueue, until, withTestQueue } from './queue-setup.ts';

const repository = fileURLToPath(new URL('../../.glyphmill/models', import.meta.url));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const credentials = { accessKeyId: 'test-access-key', secretAccessKey: 'test-secret-access-key' };
export const systemBucket = 'system';
export const bucket = 'in-box';

/** What a worker needs: Redis, an S3 wire, the models. `work` counts what was done with them. */
export async function openWorkshop() {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-cache-'));
  const redis = await startTestRedis();
  const work = { gets: 0, batches: 0 };
  const s3 = await startS3({
    dir,
    ...credentials,
    buckets: [bucket, systemBucket],
    intercept: ({ method }) => {
      if (method === 'GET') work.gets += 1;
      return undefined;
    },
  });
  const address = { endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true, ...credentials };
  const store = openObjectStore(address);
  await importDefaultModels(repository);
  const onBatch = () => {
    work.batches += 1;
  };
  const models = await openModels({ repository, log, onBatch });
  const engine = openEngine({
    models,
    decoders: 1,
    decodeDeadlineMs: 20_000,
    maxPagePixels: 100e6,
    maxPages: 50,
  });
  return {
    redisUrl: redis.url,
    s3: address,
    store,
    engine,
    work,
    served: () => models.info(),
    put: (key: string, bytes: Uint8Array, into = bucket) =>
      store.write({ bucket: into, key }, bytes, {
        contentType: 'image/png',
        signal: AbortSignal.timeout(5000),
      }),
    async close() {
      engine.close();
      await models.close();
      store.close();
      await s3.close();
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
export type Workshop = Awaited<ReturnType<typeof openWorkshop>>;

export interface World extends TestQueue {
  results: CachedResults;
  warnings: string[];
  /** Has a document read by a real worker, and answers the job at its end and its result. */
  read(changes: Partial<Task>, tenant?: string): Promise<{ job: JobRecord; result: Result | undefined }>;
}

/** A queue with a worker on it that reads with the models of this process, unless told otherwise. */
export function withReader(
  { redisUrl, store, engine, served }: Workshop,
  run: (world: World) => Promise<void>,
  unusual: { models?: () => ModelInfo[]; engine?: Engine } = {},
): Promise<void> {
  return withTestQueue(redisUrl, async (queue) => {
    const warnings: string[] = [];
    const results = openCachedResults(queue.address, () => {});
    const resultCache = createResultCache({
      results,
      store,
      models: unusual.models ?? served,
      onOutcome: () => {},
      onWarning: (message) => warnings.push(message),
    });
    const consumer = await startConsumer({
      address: queue.address,
      concurrency: 2,
      handler: createPipeline({
        engine: unusual.engine ?? engine,
        store,
        pageWriter: createPageWriter({ store, systemBucket, onWarning: () => {} }),
        resultCache,
        systemBucket,
        models: served,
        documentsInMemory: 2,
        maxDocumentBytes: 1e8,
        fetchTimeoutMs: 10_000,
        jobTimeoutMs: 60_000,
        onStages: () => {},
        onWarning: () => {},
      }),
      models: () => [],
      onAttempt: () => {},
      onWarning: () => {},
    });

    async function read(changes: Partial<Task>, tenant = 'acme') {
      const { id, task } = newJob({ mode: 'line', ...changes }, tenant);
      await queue.store.submit({ id, tenant, task });
      const isOver = async () => {
        const record = await queue.store.get(tenant, id);
        return record !== undefined && record.finishedAtMs !== null && record;
      };
      const job = await until(`end of ${id}`, isOver, 60_000);
      return { job, result: await resultOf(job) };
    }

    async function resultOf({ tenant, id }: JobRecord): Promise<Result | undefined> {
      const kept = await queue.store.result(tenant, id);
      if (kept === undefined) return undefined;
      if (kept.kind === 'inline') return resultSchema.parse(JSON.parse(kept.json));
      const { bytes } = await store.read(kept, { maxBytes: 1e8, signal: AbortSignal.timeout(5000) });
      return resultSchema.parse(JSON.parse(bytes.toString()));
    }

    try {
      await run({ ...queue, results, warnings, read });
    } finally {
      await consumer.close(1000);
      results.close();
    }
  });
}
