import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { Job } from '@glyphmill/contract/job';
import { jobSchema } from '@glyphmill/contract/job';
import type { Result } from '@glyphmill/contract/result';
import { startRedis } from '@glyphmill/embedded/redis';
import type { Intercept } from '@glyphmill/embedded/s3-faults';
import { startS3 } from '@glyphmill/embedded/s3-server';
import type { Read } from '@glyphmill/queue/attempt';
import { startBatchWorker } from '@glyphmill/queue/batch-worker';
import { startConsumer } from '@glyphmill/queue/consumer';
import { openEndpointStore } from '@glyphmill/queue/endpoint-store';
import type { Handler } from '@glyphmill/queue/job-run';
import { openJobStore } from '@glyphmill/queue/job-store';
import type { MicroBatchCount } from '@glyphmill/queue/micro-batch-counts';
import { createAddressGuard } from '@glyphmill/service/address-guard';
import { type ApiKeyEntry, newApiKey, type Scope } from '@glyphmill/service/api-key';
import { createLogger } from '@glyphmill/service/logger';
import { openTracing } from '@glyphmill/service/tracing';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { buildApp } from 'glyphmill-api/app';
import { createBatchReader } from 'glyphmill-api/batch-reader';
import { limitsOf, readApiConfig } from 'glyphmill-api/config';
import { createMetrics } from 'glyphmill-api/metrics';
import { createReadiness } from 'glyphmill-api/readiness';
import { scalingSettings } from 'glyphmill-api/scaling';
import { type ContractCheck, createContractCheck } from './api-contract.ts';

/** Shared by every test run of this checkout, so that at most the first one downloads. */
export const cacheDir = fileURLToPath(new URL('../../.glyphmill/cache', import.meta.url));

/** A real Redis and a real S3 wire, shared by the tests of one file. */
export async function startStores(intercept?: Intercept, corsOrigins?: string[]) {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-api-'));
  const redis = await startRedis({ dir: join(dir, 'redis'), cacheDir });
  const s3 = await startObjects(join(dir, 's3'), { intercept, corsOrigins });
  const env = {
    REDIS_URL: redis.url,
    ...s3.env,
    API_KEYS_FILE: join(dir, 'keys.json'),
    WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
    LOG_LEVEL: 'silent',
  };
  return {
    dir,
    env,
    redis,
    async stop() {
      await s3.stop();
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
export type Stores = Awaited<ReturnType<typeof startStores>>;

/** An S3 server of its own and the settings that lead to it. */
export async function startObjects(
  dir: string,
  {
    intercept,
    corsOrigins = [],
  }: { intercept?: Intercept | undefined; corsOrigins?: string[] | undefined } = {},
) {
  const [accessKeyId, secretAccessKey] = ['test-access-key', 'test-secret-access-key'];
  const s3 = await startS3({
    dir,
    accessKeyId,
    secretAccessKey,
    corsOrigins,
    ...(intercept && { intercept }),
  });
  const env = {
    S3_ENDPOINT: s3.endpoint,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
    S3_FORCE_PATH_STYLE: 'true',
  };
  return { env, stop: () => s3.close() };
}

let shards = 0;

/** The API on a port of its own, with a queue of its own in the shared Redis. */
export async function startApi(stores: Stores, overrides: Record<string, string> = {}) {
  shards += 1;
  const config = readApiConfig({ ...stores.env, REDIS_SHARD: `t${shards}`, ...overrides });
  const log = createLogger({ service: 'api', level: config.logLevel });
  const address = { url: config.redisUrl, shard: config.redisShard };
  const jobs = await openJobStore(address, {
    limits: limitsOf(config),
    onError: () => {},
    onWarning: () => {},
  });
  const endpoints = await openEndpointStore(address, () => {});
  const credentials = {
    accessKeyId: config.s3AccessKeyId ?? '',
    secretAccessKey: config.s3SecretAccessKey ?? '',
  };
  const store = { region: config.s3Region, forcePathStyle: config.s3ForcePathStyle };
  const objects = openObjectStore({ ...store, ...credentials, endpoint: config.s3Endpoint });
  const s3 = new S3Client({ ...store, credentials, endpoint: config.s3Endpoint ?? '' });
  await objects.ensureBucket(config.s3SystemBucket);
  const entries = new Map<string, ApiKeyEntry>();
  const batchWorker = await startBatchWorker({
    address,
    limits: limitsOf(config),
    read: createBatchReader({ objects, systemBucket: config.s3SystemBucket }),
    onError: () => {},
  });
  const metrics = createMetrics(jobs, scalingSettings(config));
  const tracing = openTracing(config, 'api');
  const app = await buildApp({
    config,
    jobs,
    endpoints,
    objects,
    keys: () => entries,
    guard: createAddressGuard({ allowedCidrs: config.webhookAllowedCidrs }),
    metrics,
    tracing,
    log,
    readiness: createReadiness({ jobs, objects, systemBucket: config.s3SystemBucket }),
  });
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 });
  const check = createContractCheck(await (await fetch(`${baseUrl}/openapi.json`)).json());
  return {
    app,
    address,
    baseUrl,
    config,
    metrics,
    objects,
    async keysIn(bucket: string): Promise<string[]> {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
      return Contents.map(({ Key = '' }) => Key);
    },
    async put(bucket: string, key: string, body: string | Buffer): Promise<void> {
      await objects.ensureBucket(bucket);
      const bytes = Buffer.from(body);
      await objects.write({ bucket, key }, bytes, {
        contentType: 'application/octet-stream',
        signal: AbortSignal.timeout(10_000),
      });
    },
    /** A caller with a key of its own. */
    caller(options: { tenant?: string; scopes?: Scope[]; buckets?: ApiKeyEntry['buckets'] } = {}) {
      const { tenant = 'acme', scopes = ['admin'], buckets } = options;
      const { key, entry } = newApiKey({ tenant, scopes, ...(buckets ? { buckets } : {}) });
      entries.set(entry.id, entry);
      return createCaller({ baseUrl, check, key });
    },
    /** A caller without a key. */
    stranger: createCaller({ baseUrl, check, key: undefined }),
    async close() {
      await app.close();
      await batchWorker.close();
      endpoints.close();
      await jobs.close();
      objects.close();
      await tracing.close();
      s3.destroy();
    },
  };
}
export type Api = Awaited<ReturnType<typeof startApi>>;

interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: () => unknown;
}

type Call = RequestInit & { json?: unknown };

function createCaller({
  baseUrl,
  check,
  key,
}: {
  baseUrl: string;
  check: ContractCheck;
  key: string | undefined;
}) {
  /** Sends a request and holds its answer against the API's own description. */
  async function call(method: string, path: string, { json, ...init }: Call = {}): Promise<Answer> {
    const headers = new Headers(init.headers);
    if (key !== undefined) headers.set('authorization', `Bearer ${key}`);
    if (json !== undefined) headers.set('content-type', 'application/json');
    const body = json === undefined ? init.body : JSON.stringify(json);
    const response = await fetch(`${baseUrl}${path}`, {
      ...init,
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
    check({ method, path, answer });
    return answer;
  }

  return {
    key,
    call,
    get: (path: string, init?: Call) => call('GET', path, init),
    /** Submits a job that must be accepted. */
    async submit(body: object = {}): Promise<Job> {
      const answer = await call('POST', '/v1/jobs', { json: { source: s3Source, ...body } });
      assert.equal(answer.status, 202, answer.text);
      return jobSchema.parse(answer.json());
    },
    /** Calls and expects a problem with this code. */
    async refused(code: string, method: string, path: string, init?: Call) {
      const answer = await call(method, path, init);
      const problem = problemOf(answer);
      assert.equal(problem.code, code, answer.text);
      return { ...problem, headers: answer.headers };
    },
  };
}
export type Caller = ReturnType<typeof createCaller>;

export const s3Source = { type: 's3', bucket: 'in-box', key: 'a/scan.png' };

interface ProblemBody {
  code: string;
  status: number;
  detail: string;
  retryable: boolean;
  errors?: { pointer: string; detail: string }[];
}

function problemOf(answer: Answer): ProblemBody {
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/, answer.text);
  return JSON.parse(answer.text);
}

/** A worker of the real queue that ends each job as `handler` says. */
export async function startWorker(
  api: Api,
  handler: Handler,
  {
    concurrency = 4,
    microBatches = () => [],
  }: { concurrency?: number; microBatches?: () => readonly MicroBatchCount[] } = {},
) {
  const consumer = await startConsumer({
    address: api.address,
    concurrency,
    handler,
    models: () => [
      {
        role: 'recognize',
        name: 'svtr',
        version: '1',
        sha256: 'a'.repeat(64),
        provider: 'cpu',
        default: true,
        maxBatchSize: 16,
      },
    ],
    microBatches,
    onAttempt: () => {},
    onWarning: () => {},
  });
  return { close: () => consumer.close(1000) };
}

/** The outcome of a job in which `text` was read. */
export function outcomeOf(result: Read['result']): Read {
  const timings = { queueMs: 1, fetchMs: 1, decodeMs: 1, detectMs: 1, recognizeMs: 1, totalMs: 4 };
  const usage = { pages: 1, lines: 1, megapixels: 0.1 };
  return { status: 'succeeded', result, warnings: [], usage, timings, pagesFailed: 0 };
}

export function inlineResult(jobId: string, text: string): Read['result'] {
  return { kind: 'inline', json: JSON.stringify(resultOf(jobId, text)) };
}

export function resultOf(jobId: string, text: string): Result {
  return {
    object: 'ocr.result',
    schemaVersion: '1.0',
    jobId,
    text,
    confidence: 0.9,
    engine: {
      service: 'glyphmill 0.1.0',
      runtime: 'onnxruntime 1 cpu',
      models: [],
      options: { minConfidence: 0, maxSideLength: 1280, characters: false },
    },
    pages: [],
    usage: { pages: 1, lines: 1, megapixels: 0.1 },
    warnings: [],
  };
}
