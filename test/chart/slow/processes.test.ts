import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { jobSchema } from '@glyphmill/contract/job';
import { type EmbeddedRedis, startRedis } from '@glyphmill/embedded/redis';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { newApiKey } from '@glyphmill/service/api-key';
import { freePorts } from 'glyphmill-cli/free-ports';
import { until } from '../../integration/queue-setup.ts';
import { type ImageApp, imageApps } from '../../unit/dockerfile.ts';
import { patienceMs, probe, type RunningContainer, startContainer } from '../container.ts';
import { type Document, render } from '../helm.ts';
import { type Container, mainContainer, podsOf, type Workload, workload } from '../workloads.ts';

// What the chart renders, started as plain processes against a real Redis and S3 wire: the download of the models, the
// three apps, and the pod of `helm test`.

const cacheDir = fileURLToPath(new URL('../../../.glyphmill/cache', import.meta.url));
const { key, entry } = newApiKey({ tenant: 'acme', scopes: ['jobs:write', 'jobs:read'] });
const s3Keys = { accessKeyId: 'glyphmill', secretAccessKey: 's'.repeat(32) };
const secrets = {
  'glyphmill-webhook': { WEBHOOK_SIGNING_KEY: 'w'.repeat(64) },
  'glyphmill-s3': { S3_ACCESS_KEY_ID: s3Keys.accessKeyId, S3_SECRET_ACCESS_KEY: s3Keys.secretAccessKey },
  'glyphmill-test': { GLYPHMILL_API_KEY: key },
};

let dir = '';
let documents: Document[] = [];
let apiUrl = '';
let redis: EmbeddedRedis;
let s3: Awaited<ReturnType<typeof startS3>>;
let archives: Awaited<ReturnType<typeof serveModels>>;
const running = new Map<string, RunningContainer>();

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-chart-'));
  const [redisPort = 0, api = 0, ...metrics] = await freePorts(5);
  apiUrl = `http://127.0.0.1:${api}`;
  redis = await startRedis({ dir: join(dir, 'redis'), cacheDir, port: redisPort });
  s3 = await startS3({ dir: join(dir, 's3'), ...s3Keys });
  archives = await serveModels(dir);
  await mkdir(join(dir, 'models'));
  await mkdir(join(dir, 'api-keys'));
  await writeFile(join(dir, 'api-keys/api-keys.json'), JSON.stringify([entry]));
  const ports = Object.fromEntries(imageApps.map((app, at) => [`${app}.config.METRICS_PORT`, metrics[at]]));
  documents = await render({
    scenario: 'minimal',
    set: {
      'valkey.enabled': false,
      'redis.host': '127.0.0.1',
      'redis.port': redisPort,
      'redis.existingSecret': '',
      'config.METRICS_HOST': '127.0.0.1',
      'config.S3_ENDPOINT': s3.endpoint,
      'api.config.API_HOST': '127.0.0.1',
      'api.config.API_PORT': api,
      ...ports,
      'worker.config.MODEL_REPOSITORY': join(dir, 'models'),
      'worker.models.delivery': 'download',
      'worker.models.download': { url: archives.url, sha256: archives.sha256, sizeLimit: '4Gi' },
      'test.existingSecret': 'glyphmill-test',
    },
  });
});

after(async () => {
  for (const { child, exited } of running.values()) {
    child.kill('SIGKILL');
    await exited;
  }
  await archives?.close();
  await s3?.close();
  await redis?.stop();
  await rm(dir, { recursive: true, force: true });
});

describe('what the chart renders, as plain processes', () => {
  it('downloads models only with the digest that is pinned, and unpacks them', async () => {
    const [download, ...others] = workload(documents, 'worker').pod.initContainers;
    assert.ok(download !== undefined && others.length === 0);
    const pinned = download.env.map((variable) =>
      variable.name === 'MODELS_SHA256' ? { ...variable, value: '0'.repeat(64) } : variable,
    );
    const refused = start('download', 'worker', { ...download, env: pinned });
    assert.equal(await refused.exited, 1);
    assert.match(refused.output(), /expected sha256 0{64}, found [0-9a-f]{64}/);
    const taken = start('download', 'worker', download);
    assert.equal(await taken.exited, 0, taken.output());
    await readFile(join(dir, 'models/ppocrv4-rec/config.pbtxt'));
  });

  for (const app of imageApps)
    it(`the ${app} gets through its probes`, async () => {
      const container = mainContainer(workload(documents, app));
      const { child, output } = start(app, app, container);
      await until(
        `${app} starts`,
        async () => {
          assert.equal(child.exitCode, null, output());
          return (await probe(container, 'startupProbe')) === 200;
        },
        patienceMs(container, 'startupProbe'),
      );
      const isReady = async () => (await probe(container, 'readinessProbe')) === 200;
      await until(`${app} is ready`, isReady, 30_000).catch((error: unknown) =>
        assert.fail(`${error}\n${output()}`),
      );
      assert.equal(await probe(container, 'livenessProbe'), 200);
    });

  it('read the page that `helm test` submits', async () => {
    const [pod, ...others] = podsOf(documents.filter(({ kind }) => kind === 'Pod'));
    const [container] = pod?.containers ?? [];
    assert.ok(container !== undefined && others.length === 0);
    const test = start('test', 'api', container);
    assert.equal(await test.exited, 0, test.output());
    assert.match(test.output(), /read: GLYPHMILL 2026/);
  });

  it('the worker, told to stop with work in hand, ends within its grace and loses nothing', async () => {
    const ids = await Promise.all(['notice.png', 'letter.png', 'story.png'].map(submit));
    await until('a job runs', async () => (await Promise.all(ids.map(statusOf))).includes('running'), 60_000);
    await stop('worker');
    const statuses = await Promise.all(ids.map(statusOf));
    for (const status of statuses)
      assert.ok(status === 'succeeded' || status === 'queued', statuses.join(' '));
  });

  it('API and webhooks end within theirs', async () => {
    await stop('api');
    await stop('webhook');
  });
});

function start(name: string, image: ImageApp, container: Container): RunningContainer {
  const places = {
    '/etc/glyphmill/api-keys': join(dir, 'api-keys'),
    'http://release-glyphmill-api:80': apiUrl,
  };
  const started = startContainer({ container, secrets, image, places });
  running.set(name, started);
  return started;
}

/** Sends SIGTERM, and expects exit 0 before the kubelet would kill. */
async function stop(app: ImageApp): Promise<void> {
  const { pod }: Workload = workload(documents, app);
  const { child, exited, output } = running.get(app) ?? assert.fail(`${app} does not run`);
  const stoppedAtMs = performance.now();
  child.kill('SIGTERM');
  assert.equal(await exited, 0, output());
  const tookSeconds = (performance.now() - stoppedAtMs) / 1000;
  assert.ok(tookSeconds < (pod.terminationGracePeriodSeconds ?? 30), `${app} took ${tookSeconds} s`);
}

const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

async function submit(sample: string): Promise<string> {
  const bytes = await readFile(new URL(`../../fixtures/samples/${sample}`, import.meta.url));
  const source = { type: 'inline', contentType: 'image/png', data: bytes.toString('base64') };
  const init = { method: 'POST', headers, body: JSON.stringify({ source }) };
  return jobSchema.parse(await (await fetch(`${apiUrl}/v1/jobs`, init)).json()).id;
}

async function statusOf(id: string): Promise<string> {
  return jobSchema.parse(await (await fetch(`${apiUrl}/v1/jobs/${id}`, { headers })).json()).status;
}

/** The default models as an archive, at an address of this machine. */
async function serveModels(folder: string) {
  const models = join(folder, 'packed-models');
  await importDefaultModels(models);
  const archive = join(folder, 'models.tar.gz');
  await promisify(execFile)('tar', ['-czf', archive, '-C', models, '.']);
  const bytes = await readFile(archive);
  const server = createServer((_request, response) => response.end(bytes)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return {
    url: `http://127.0.0.1:${address.port}/models.tar.gz`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => undefined);
    },
  };
}
