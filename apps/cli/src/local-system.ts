import { join, resolve } from 'node:path';
import { startRedis } from '@glyphmill/embedded/redis';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { localSecrets } from './local-secrets.ts';
import { superviseApps } from './supervisor.ts';

export interface LocalSystemOptions {
  dataDir: string;
  /** Holds what several data directories share: downloads in `cache`, models in `models`. */
  cacheDir: string;
  ports: { api: number; s3: number; metrics: { api: number; worker: number; webhook: number } };
  env: Record<string, string | undefined>;
  say: (line: string) => void;
}

export interface LocalSystem {
  url: string;
  /** Of no use where the environment names a key file. */
  apiKey: string;
  /** Where documents can be put; undefined when an S3 store of the user's own is configured. */
  s3: { endpoint: string; accessKeyId: string; secretAccessKey: string; bucket: string } | undefined;
  metricsUrls: { api: string; worker: string; webhook: string };
  webhookSigningKey: string;
  logDir: string;
  pids(): Record<string, number | undefined>;
  stop(): Promise<void>;
}

/** The bucket for documents that the embedded store starts with. */
const documentsBucket = 'documents';
const systemBucket = 'glyphmill';
const region = 'us-east-1';
const host = '127.0.0.1';
const readyDeadlineMs = 120_000;
/** Some 100,000 waiting jobs; beyond it the API refuses instead of using up the machine. */
const redisMemory = '1gb';

/** Settings any of which means that the user brings an S3 store. */
const ownStoreSettings = [
  'S3_ENDPOINT',
  'S3_ACCESS_KEY_ID',
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_ROLE_ARN',
];

/** Whether the environment names an S3 store, so that none is embedded. */
export function hasOwnStore(env: Record<string, string | undefined>): boolean {
  return ownStoreSettings.some((name) => env[name]);
}

/**
 * Brings up the whole system on loopback: Redis and an S3 store unless the environment names some, the API,
 * a worker and webhook delivery. What is started here is stopped by `stop`, the last first.
 */
export async function startLocalSystem(options: LocalSystemOptions): Promise<LocalSystem> {
  const { env, say, ports } = options;
  const dataDir = resolve(options.dataDir);
  const secrets = localSecrets(dataDir);
  const opened: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (let close = opened.pop(); close !== undefined; close = opened.pop()) await close();
  };
  try {
    const redisUrl = env.REDIS_URL || (await openRedis());
    const store = hasOwnStore(env) ? undefined : await openS3();
    const appEnv = {
      ...env,
      ...(store === undefined ? {} : s3Environment(store)),
      REDIS_URL: redisUrl,
      S3_SYSTEM_BUCKET: env.S3_SYSTEM_BUCKET || systemBucket,
      MODEL_REPOSITORY: env.MODEL_REPOSITORY || join(resolve(options.cacheDir), 'models'),
      WEBHOOK_SIGNING_KEY: env.WEBHOOK_SIGNING_KEY || secrets.webhookSigningKey,
      // On one's own machine a receiver under development is plain HTTP on loopback.
      WEBHOOK_ALLOW_HTTP: env.WEBHOOK_ALLOW_HTTP || 'true',
      WEBHOOK_ALLOWED_CIDRS: env.WEBHOOK_ALLOWED_CIDRS || '127.0.0.0/8,::1/128',
      API_KEYS_FILE: env.API_KEYS_FILE || secrets.keysFile,
      METRICS_HOST: host,
    };
    const url = `http://${host}:${ports.api}`;
    const metrics = (port: number) => `http://${host}:${port}/metrics`;
    const logDir = join(dataDir, 'logs');
    const supervisor = superviseApps(
      [
        {
          app: 'api',
          env: {
            ...appEnv,
            API_HOST: host,
            API_PORT: `${ports.api}`,
            METRICS_PORT: `${ports.metrics.api}`,
            PLAYGROUND: env.PLAYGROUND || 'on',
          },
          readyUrl: `${url}/readyz`,
        },
        {
          app: 'worker',
          env: { ...appEnv, METRICS_PORT: `${ports.metrics.worker}` },
          readyUrl: `http://${host}:${ports.metrics.worker}/readyz`,
        },
        {
          app: 'webhook',
          env: { ...appEnv, METRICS_PORT: `${ports.metrics.webhook}` },
          readyUrl: `http://${host}:${ports.metrics.webhook}/readyz`,
        },
      ],
      { logDir, onRestart: (app, reason) => say(`the ${app} ended (${reason}) and is started again`) },
    );
    opened.push(supervisor.stop);
    say('starting the API, a worker and webhook delivery; the first start loads the models …');
    await supervisor.ready(readyDeadlineMs);
    return {
      url,
      apiKey: secrets.apiKey,
      s3: store,
      metricsUrls: {
        api: metrics(ports.metrics.api),
        worker: metrics(ports.metrics.worker),
        webhook: metrics(ports.metrics.webhook),
      },
      webhookSigningKey: appEnv.WEBHOOK_SIGNING_KEY,
      logDir,
      pids: supervisor.pids,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }

  async function openRedis(): Promise<string> {
    const redis = await startRedis({
      extraArgs: ['--maxmemory', redisMemory],
      dir: join(dataDir, 'redis'),
      cacheDir: join(resolve(options.cacheDir), 'cache'),
      log: say,
    });
    opened.push(redis.stop);
    say('Redis is up, on a private socket');
    return redis.url;
  }

  async function openS3(): Promise<NonNullable<LocalSystem['s3']>> {
    const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = secrets;
    const dir = join(dataDir, 's3');
    const corsOrigins = (env.CORS_ORIGINS ?? '').split(',').map((origin) => origin.trim());
    const server = await startS3({ dir, port: ports.s3, accessKeyId, secretAccessKey, corsOrigins });
    opened.push(server.close);
    const store = openObjectStore({
      endpoint: server.endpoint,
      region,
      accessKeyId,
      secretAccessKey,
      forcePathStyle: true,
    });
    for (const bucket of [documentsBucket, systemBucket]) await store.ensureBucket(bucket);
    store.close();
    say(`S3 is up at ${server.endpoint}`);
    return { endpoint: server.endpoint, accessKeyId, secretAccessKey, bucket: documentsBucket };
  }
}

function s3Environment(store: NonNullable<LocalSystem['s3']>): Record<string, string> {
  return {
    S3_ENDPOINT: store.endpoint,
    S3_REGION: region,
    S3_ACCESS_KEY_ID: store.accessKeyId,
    S3_SECRET_ACCESS_KEY: store.secretAccessKey,
    S3_FORCE_PATH_STYLE: 'true',
  };
}
