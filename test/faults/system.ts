import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Keys, keysOf } from '@glyphmill/queue/keys';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import { freePorts } from 'glyphmill-cli/free-ports';
import { localSecrets, localTenant } from 'glyphmill-cli/local-secrets';
import { type Peak, watchPeakRss } from '../e2e/memory.ts';
import { repositoryRoot } from '../e2e/system.ts';
import { type RunningApp, startApp } from './apps.ts';
import { type FaultProxy, startProxy } from './proxy.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';
import { documentsBucket, type S3Double, startS3Double, systemBucket } from './s3-double.ts';

export type Environment = Record<string, string>;

/** The whole system as processes, with everything it talks to in our hands. */
export interface FaultSystem {
  dir: string;
  redis: RedisServer;
  /** Between the processes and Redis. */
  proxy: FaultProxy;
  s3: S3Double;
  receiver: Receiver;
  keys: Keys;
  api: RunningApp;
  worker: RunningApp;
  webhook: RunningApp;
  /** All workers that ever ran here, for their logs. */
  workers: RunningApp[];
  /** Starts one more worker; it is ready when this resolves. */
  addWorker(changes?: Environment): Promise<RunningApp>;
  /** The environment that the processes have. */
  env: Environment;
  workerRss: Peak;
  /** A call with the system's key. */
  call(path: string, init?: RequestInit): Promise<Response>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Keeps the directory, and so the logs, when these are still to be looked at. */
  close(directory?: 'keep'): Promise<void>;
}

const host = '127.0.0.1';
const putTimeoutMs = 20_000;
const callTimeoutMs = 75_000;

const running = new Set<FaultSystem['close']>();

/** Ends every system that runs, for a process that is told to stop. */
export async function closeFaultSystems(): Promise<void> {
  await Promise.all([...running].map((close) => close()));
}

export async function startFaultSystem(changes: Environment = {}): Promise<FaultSystem> {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-faults-'));
  const closers: Closer[] = [];
  const close = async (directory?: 'keep') => {
    for (let next = closers.pop(); next !== undefined; next = closers.pop()) await next();
    running.delete(close);
    if (directory !== 'keep') await rm(dir, { recursive: true, force: true });
  };
  running.add(close);
  try {
    return { ...(await open({ dir, changes, closers })), close };
  } catch (error) {
    await close('keep');
    throw error;
  }
}

type Closer = () => Promise<unknown> | unknown;

async function open({
  dir,
  changes,
  closers,
}: {
  dir: string;
  changes: Environment;
  closers: Closer[];
}): Promise<Omit<FaultSystem, 'close'>> {
  const secrets = localSecrets(dir);
  const redis = await startRedisServer(join(dir, 'redis'), ['--maxmemory', '512mb']);
  closers.push(redis.stop);
  const proxy = await startProxy(redis.port);
  closers.push(proxy.close);
  const s3 = await startS3Double({
    dir: join(dir, 's3'),
    accessKeyId: secrets.s3AccessKeyId,
    secretAccessKey: secrets.s3SecretAccessKey,
  });
  closers.push(s3.close);
  const receiver = await startReceiver(tenantWebhookSecret(secrets.webhookSigningKey, localTenant));
  closers.push(receiver.close);

  const [apiPort = 0] = await freePorts(1);
  const url = `http://${host}:${apiPort}`;
  const { PATH = '', HOME = '' } = process.env;
  const env: Environment = {
    PATH,
    HOME,
    REDIS_URL: `redis://${host}:${proxy.port}`,
    S3_ENDPOINT: s3.endpoint,
    S3_REGION: 'us-east-1',
    S3_ACCESS_KEY_ID: secrets.s3AccessKeyId,
    S3_SECRET_ACCESS_KEY: secrets.s3SecretAccessKey,
    S3_FORCE_PATH_STYLE: 'true',
    S3_SYSTEM_BUCKET: systemBucket,
    MODEL_REPOSITORY: join(repositoryRoot, '.glyphmill/models'),
    WEBHOOK_SIGNING_KEY: secrets.webhookSigningKey,
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8',
    API_KEYS_FILE: secrets.keysFile,
    API_HOST: host,
    API_PORT: `${apiPort}`,
    ...changes,
  };
  const workers: RunningApp[] = [];
  const startWorker = async (more: Environment = {}) => {
    const logDir = join(dir, `worker-${workers.length}`);
    const worker = await startApp('worker', { env: { ...env, ...more }, logDir });
    workers.push(worker);
    closers.push(worker.stop);
    return worker;
  };
  const webhook = await startApp('webhook', { env, logDir: join(dir, 'logs') });
  closers.push(webhook.stop);
  const worker = await startWorker();
  const api = await startApp('api', { env, logDir: join(dir, 'logs'), readyUrl: `${url}/readyz` });
  closers.push(api.stop);
  const workerRss = watchPeakRss(() => worker.pid);
  closers.push(workerRss.stop);
  await Promise.all([api.ready(), worker.ready(), webhook.ready()]);

  return {
    dir,
    redis,
    proxy,
    s3,
    receiver,
    keys: keysOf('0'),
    api,
    worker,
    webhook,
    workers,
    async addWorker(more) {
      const added = await startWorker(more);
      await added.ready();
      return added;
    },
    env,
    workerRss,
    call: (path, init = {}) =>
      fetch(`${url}${path}`, {
        signal: AbortSignal.timeout(callTimeoutMs),
        ...init,
        headers: { authorization: `Bearer ${secrets.apiKey}`, ...init.headers },
      }),
    put: (key, bytes) =>
      s3.objects.write({ bucket: documentsBucket, key }, bytes, {
        contentType: 'application/octet-stream',
        signal: AbortSignal.timeout(putTimeoutMs),
      }),
  };
}
