import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { jobSchema } from '@glyphmill/contract/job';
import { resultSchema } from '@glyphmill/contract/result';
import { type Engine, openEngine } from '@glyphmill/engine/engine';
import { type Models, openModels } from '@glyphmill/inference/models';
import { startConsumer } from '@glyphmill/queue/consumer';
import type { AttemptReport } from '@glyphmill/queue/job-run';
import { createPageWriter } from 'glyphmill-worker/live-pages';
import { createPipeline } from 'glyphmill-worker/pipeline';
import sharp from 'sharp';
import { type Api, type Caller, type Stores, startApi, startStores } from './api-setup.ts';
import { addVersion, readsB, writeTinyModel } from './inference-onnx.ts';
import { newRepository, quietLog, until } from './inference-samples.ts';

const model = 'tiny';
let repository = '';
let stores: Stores;
let api: Api;
let caller: Caller;
let models: Models;
let engine: Engine;
let consumer: Awaited<ReturnType<typeof startConsumer>>;
const reports: AttemptReport[] = [];

before(async () => {
  repository = await newRepository();
  await writeTinyModel(repository, {
    name: model,
    kind: 'plain',
    extra: 'version_policy { latest { num_versions: 2 } }',
  });
  stores = await startStores();
  api = await startApi(stores);
  caller = api.caller();
  models = await openModels({
    repository,
    names: { recognize: model },
    provider: 'cpu',
    instances: { recognize: 1 },
    versions: { lookMs: 50 },
    log: quietLog(),
  });
  engine = openEngine({ models, decoders: 1, decodeDeadlineMs: 20_000, maxPagePixels: 1e6, maxPages: 50 });
  const system = { store: api.objects, systemBucket: api.config.s3SystemBucket };
  consumer = await startConsumer({
    address: api.address,
    concurrency: 8,
    handler: createPipeline({
      engine,
      ...system,
      pageWriter: createPageWriter({ ...system, onWarning: () => {} }),
      models: () => models.info(),
      documentsInMemory: 4,
      maxDocumentBytes: 1e7,
      fetchTimeoutMs: 20_000,
      jobTimeoutMs: 60_000,
      onStages: () => {},
      onWarning: () => {},
    }),
    models: () => models.info(),
    onAttempt: (report) => reports.push(report),
    onWarning: () => {},
  });
});

after(async () => {
  await consumer?.close(0);
  engine?.close();
  await models?.close(0);
  await api?.close();
  await stores?.stop();
  await rm(repository, { recursive: true });
});

const pages = 12;
/** Pages that are a line each. */
async function document(): Promise<object> {
  const page = await sharp({ create: { width: 48, height: 16, channels: 3, background: '#ddd' } })
    .png()
    .toBuffer();
  const tiff = await sharp(
    Array.from({ length: pages }, () => page),
    { join: { animated: true } },
  )
    .tiff()
    .toBuffer();
  return { type: 'inline', contentType: 'image/tiff', data: tiff.toString('base64') };
}

async function read(body: object) {
  const { id } = await caller.submit({ mode: 'line', ...body });
  const job = jobSchema.parse((await caller.get(`/v1/jobs/${id}?wait=30`)).json());
  assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
  const result = resultSchema.parse((await caller.get(`/v1/jobs/${id}/result`)).json());
  const versions = result.engine.models
    .filter(({ role }) => role === 'recognize')
    .map(({ version }) => version);
  return { job, versions, texts: result.pages.map(({ text }) => text) };
}

test('a job that names a version is read by it alone, before, during and after a roll-out', async () => {
  const source = await document();
  const first = await readFile(join(repository, model, '1/model.onnx'));
  const seen = new Set<string>();
  let isOver = false;
  const pinned: Awaited<ReturnType<typeof read>>[] = [];
  const pinning = async () => {
    while (!isOver) pinned.push(await read({ source, modelVersion: '1' }));
  };
  const others = async () => {
    while (!isOver) for (const version of (await read({ source })).versions) seen.add(version);
  };
  const load = Promise.all([pinning(), pinning(), others()]);
  await until('jobs are read by version 1', () => pinned.length >= 2 && seen.has('1'));
  await addVersion(join(repository, model), 2, readsB(first));
  await until('jobs that name no version are read by version 2', () => seen.has('2'));
  const atSwap = pinned.length;
  await until('jobs go on being read by version 1', () => pinned.length >= atSwap + 4);
  isOver = true;
  await load;
  for (const { job, versions, texts } of pinned) {
    assert.equal(job.modelVersion, '1');
    assert.deepEqual(versions, ['1']);
    assert.deepEqual(texts, Array(pages).fill('a'));
  }
  const newest = await read({ source });
  assert.equal(newest.job.modelVersion, null);
  assert.deepEqual(newest.versions, ['2']);
  assert.deepEqual(newest.texts, Array(pages).fill('b'));
});

test('a version that no worker has announced is refused, whatever its model', async () => {
  const source = await document();
  for (const name of ['default', model]) {
    const json = { source, model: name, modelVersion: '9' };
    const { detail } = await caller.refused('unknown-model', 'POST', '/v1/jobs', { json });
    assert.match(detail, /no model \w+ of version 9; there is: default, ppocr.*|tiny 1/);
  }
  await caller.refused('validation-failed', 'POST', '/v1/jobs', { json: { source, modelVersion: '../1' } });
});

test('a job whose version has gone fails as model-unavailable, to be tried again', async () => {
  const source = await document();
  const first = await readFile(join(repository, model, '1/model.onnx'));
  await addVersion(join(repository, model), 3, first);
  const served = () => models.info().flatMap(({ name, version }) => (name === model ? version : []));
  await until('version 1 is gone', () => served().join() === '3,2');
  const { id } = await caller.submit({ source, mode: 'line', modelVersion: '1' });
  const ended = () => reports.find(({ attempt }) => attempt.jobId === id);
  await until('its first attempt ended', () => ended() !== undefined);
  assert.equal(ended()?.failure?.code, 'model-unavailable');
  assert.equal(ended()?.failure?.retryable, true);
  assert.match(ended()?.failure?.message ?? '', /does not serve version 1 of the model default/);
});
