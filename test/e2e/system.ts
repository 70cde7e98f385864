import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Job, jobSchema } from '@glyphmill/contract/job';
import { type Result, resultSchema } from '@glyphmill/contract/result';
import { type ObjectStore, openObjectStore } from '@glyphmill/storage/object-store';
import { freePorts } from 'glyphmill-cli/free-ports';
import { type LocalSystem, startLocalSystem } from 'glyphmill-cli/local-system';

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

export interface TestSystem {
  system: LocalSystem;
  objects: ObjectStore;
  /** Where documents are put. */
  bucket: string;
  /** A call with the system's key; `path` begins with a slash. */
  call(path: string, init?: RequestInit): Promise<Response>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  submit(job: object): Promise<Job>;
  /** The job at its end; fails after `deadlineMs`. */
  ended(id: string, deadlineMs: number): Promise<Job>;
  result(id: string): Promise<Result>;
  close(): Promise<void>;
}

/** The whole system as `glyphmill start` brings it up, on free ports and in a directory of its own. */
export async function startTestSystem(env: Record<string, string> = {}): Promise<TestSystem> {
  const dataDir = await mkdtemp(join(tmpdir(), 'glyphmill-e2e-'));
  const [api = 0, s3 = 0, a = 0, b = 0, c = 0] = await freePorts(5);
  const { PATH, HOME } = process.env;
  const system = await startLocalSystem({
    dataDir,
    cacheDir: join(repositoryRoot, '.glyphmill'),
    ports: { api, s3, metrics: { api: a, worker: b, webhook: c } },
    env: { PATH, HOME, ...env },
    say: () => {},
  });
  if (system.s3 === undefined) throw new Error('expected the embedded S3 store');
  const { bucket } = system.s3;
  const objects = openObjectStore({ ...system.s3, region: 'us-east-1', forcePathStyle: true });

  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${system.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${system.apiKey}`, ...init.headers },
    });
  return {
    system,
    objects,
    bucket,
    call,
    put: (key, bytes) =>
      objects.write({ bucket, key }, bytes, {
        contentType: 'application/octet-stream',
        signal: AbortSignal.timeout(10_000),
      }),
    async submit(job) {
      const headers = { 'content-type': 'application/json' };
      const response = await call('/v1/jobs', { method: 'POST', headers, body: JSON.stringify(job) });
      const body: unknown = await response.json();
      if (response.status !== 202)
        throw new Error(`submit answered ${response.status}: ${JSON.stringify(body)}`);
      return jobSchema.parse(body);
    },
    async ended(id, deadlineMs) {
      const deadline = Date.now() + deadlineMs;
      for (;;) {
        const wait = Math.max(0, Math.min(30, Math.ceil((deadline - Date.now()) / 1000)));
        const job = jobSchema.parse(await (await call(`/v1/jobs/${id}?wait=${wait}`)).json());
        if (job.status === 'succeeded' || job.status === 'failed') return job;
        if (Date.now() > deadline) throw new Error(`job ${id} is still ${job.status} after ${deadlineMs} ms`);
      }
    },
    result: async (id) => resultSchema.parse(await (await call(`/v1/jobs/${id}/result?format=json`)).json()),
    async close() {
      objects.close();
      await system.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
