import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { newApiKey } from '@glyphmill/service/api-key';
import { type ObjectStore, openObjectStore } from '@glyphmill/storage/object-store';
import { freePorts } from 'glyphmill-cli/free-ports';
import type { BenchContext } from './bench-measurement.ts';

const main = fileURLToPath(new URL('../../apps/api/src/main.ts', import.meta.url));
const startDeadlineMs = 60_000;

export interface ApiAnswer {
  status: number;
  retryAfter: string | undefined;
  body: string;
  tookMs: number;
}

/** The API as it runs, in a process of its own, with an S3 store. */
export interface BenchApi {
  pid: number;
  objects: ObjectStore;
  call(method: 'GET' | 'POST', path: string, json?: object): Promise<ApiAnswer>;
  close(): Promise<void>;
}

let started = 0;

export async function startBenchApi(
  { folder }: BenchContext,
  settings: { REDIS_URL: string; REDIS_SHARD: string } & Record<string, string>,
): Promise<BenchApi> {
  started += 1;
  const dir = join(folder, `api-${started}`);
  await mkdir(dir);
  const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench-secret' };
  const s3 = await startS3({ dir: join(dir, 's3'), ...credentials });
  const store = { endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true };
  const objects = openObjectStore({ ...store, ...credentials });
  const { key, entry } = newApiKey({ tenant: 'bench', scopes: ['admin'] });
  const keysFile = join(dir, 'keys.json');
  await writeFile(keysFile, JSON.stringify([entry]));
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const log = await open(join(dir, 'api.log'), 'w');
  const child = spawn(process.execPath, [...process.execArgv, main], {
    stdio: ['ignore', log.fd, log.fd],
    env: {
      PATH: process.env.PATH,
      S3_ENDPOINT: s3.endpoint,
      S3_REGION: store.region,
      S3_FORCE_PATH_STYLE: 'true',
      S3_ACCESS_KEY_ID: credentials.accessKeyId,
      S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      API_KEYS_FILE: keysFile,
      API_PORT: `${port}`,
      METRICS_PORT: `${metricsPort}`,
      WEBHOOK_SIGNING_KEY: 'k'.repeat(32),
      ...settings,
    },
  });
  const ended = once(child, 'exit');
  const agent = new Agent({ keepAlive: true, maxSockets: 2000 });
  const call: BenchApi['call'] = (method, path, json) =>
    callOnce({ agent, port, key, method, path, body: json === undefined ? undefined : JSON.stringify(json) });
  const close = async () => {
    agent.destroy();
    if (child.exitCode === null) child.kill('SIGKILL');
    await ended;
    await log.close();
    objects.close();
    await s3.close();
  };
  const deadlineMs = performance.now() + startDeadlineMs;
  for (;;) {
    const isReady = await call('GET', '/readyz').then(
      ({ status }) => status === 200,
      () => false,
    );
    if (isReady) return { pid: child.pid ?? Number.NaN, objects, call, close };
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      await close();
      throw new Error(`the API did not come up; ${join(dir, 'api.log')} says why`);
    }
    await delay(50);
  }
}

interface Call {
  agent: Agent;
  port: number;
  key: string;
  method: string;
  path: string;
  body: string | undefined;
}

/** node's own client: what it costs is little beside the answer. */
function callOnce({ agent, port, key, method, path, body }: Call): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const begunMs = performance.now();
    const headers: Record<string, string> = { authorization: `Bearer ${key}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const asked = request({ agent, host: '127.0.0.1', port, method, path, headers }, (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: response.headers['retry-after'],
          body: text,
          tookMs: performance.now() - begunMs,
        });
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
