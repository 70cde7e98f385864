// Cancellations and deadlines in the worker's own pipeline: what nobody wants any more is not read.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { isFinal, jobSchema } from '@glyphmill/contract/job';
import { pageListSchema } from '@glyphmill/contract/result';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { type Api, type Caller, type Stores, startApi, startStores } from './api-setup.ts';
import { writeTinyModel } from './inference-onnx.ts';
import { isAlive, newRepository } from './inference-samples.ts';
import { stopDecoder } from './processes.ts';
import { until } from './queue-setup.ts';
import { type Reader, startReader } from './reader-setup.ts';
import { documentOf, greyPage } from './tiff-pages.ts';

const maxBatchSize = 4;
/** Far more than are read until a test cancels. */
const pageCount = 400;
let repository: string;
let stores: Stores;
let api: Api;
let owner: Caller;
let reader: Reader;

before(async () => {
  repository = await newRepository();
  await writeTinyModel(repository, { name: 'plain', kind: 'plain', maxBatchSize });
  stores = await startStores();
  api = await startApi(stores);
  owner = api.caller();
  await api.objects.ensureBucket('in-box');
  const page = await greyPage(120);
  const pages = Object.fromEntries(Array.from({ length: pageCount }, (_, index) => [index + 1, page]));
  await put('long.tiff', await documentOf(pageCount, pages));
  await put('short.tiff', page);
  reader = await startReader(api, { repository, model: 'plain' });
});
after(async () => {
  await reader?.close();
  await api.close();
  await stores.stop();
  await rm(repository, { recursive: true });
});

function put(key: string, bytes: Buffer): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  return api.objects.write({ bucket: 'in-box', key }, bytes, { contentType: 'image/tiff', signal });
}
const submit = (key: string, body: object = {}) =>
  owner.submit({ source: { type: 's3', bucket: 'in-box', key }, mode: 'line', ...body });
const jobOf = async (id: string) => jobSchema.parse((await owner.get(`/v1/jobs/${id}`)).json());
const ended = (id: string) =>
  until(
    `end of ${id}`,
    async () => {
      const job = await jobOf(id);
      return isFinal(job.status) && job;
    },
    30_000,
  );
const untilReading = (id: string) =>
  until('some pages are read', async () => (await jobOf(id)).progress.pagesDone >= 8, 30_000);
/** Lines that the recogniser has read so far, each of them a page. */
const linesRead = () => reader.batches.reduce((sum, { size }) => sum + size, 0);

test('after a cancellation at most one micro-batch is read, and the pages read before stay readable', async () => {
  const linesBefore = linesRead();
  const { id } = await submit('long.tiff');
  await untilReading(id);
  const answer = await owner.call('POST', `/v1/jobs/${id}/cancel`);
  const linesAtCancel = linesRead();
  assert.equal(answer.status, 202);
  const job = await ended(id);
  assert.equal(job.status, 'canceled');
  await untilReported(id);
  // Its lines would go on to be read by now: another document is.
  assert.equal((await ended((await submit('short.tiff')).id)).status, 'succeeded');
  const linesAfter = linesRead() - linesAtCancel - 1;
  assert.ok(linesAfter <= maxBatchSize, `${linesAfter} lines were read after the cancellation`);
  assert.ok(linesRead() - linesBefore < pageCount / 2, 'it was canceled in the middle');
  assert.equal(reader.engine.bytesInFlight, 0);

  const { data } = pageListSchema.parse((await owner.get(`/v1/jobs/${id}/pages`)).json());
  const readable = data.filter(({ status }) => status === 'succeeded');
  assert.ok(readable.length >= 8);
  for (const { href } of readable.slice(0, 3)) assert.equal((await owner.get(href)).status, 200);
  await owner.refused('job-canceled', 'GET', `/v1/jobs/${id}/result`);
});

test('with the default models a cancellation lets no line be read that waits, beyond one micro-batch', async () => {
  const real = await startApi(stores);
  const caller = real.caller();
  const own = await startReader(real, { repository, model: 'ppocrv4-rec' });
  const recognized = () => own.batches.filter(({ model }) => model === 'ppocrv4-rec');
  const count = () => recognized().reduce((sum, { size }) => sum + size, 0);
  const follow = async (body: object) => {
    const { id } = await caller.submit(body);
    return { id, get: async () => jobSchema.parse((await caller.get(`/v1/jobs/${id}`)).json()) };
  };
  try {
    await put('report.tiff', readFileSync(`${samplesFolder}report.tiff`));
    const source = { type: 's3', bucket: 'in-box', key: 'report.tiff' };
    const job = await follow({ source });
    await until('a first micro-batch', () => recognized().length > 0, 60_000);
    await caller.call('POST', `/v1/jobs/${job.id}/cancel`);
    const atCancel = count();
    await until('its end', async () => (await job.get()).status === 'canceled', 30_000);
    const next = await follow({ source: { ...source, key: 'short.tiff' }, mode: 'line' });
    await until('another document', async () => (await next.get()).status === 'succeeded', 60_000);
    const after = count() - atCancel - 1;
    const [most = 0] = recognized().map(({ size, fill }) => size / fill);
    assert.ok(after <= most, `${after} lines were read after the cancellation, in micro-batches of ${most}`);
  } finally {
    await own.close();
    await real.close();
  }
});

const untilReported = (id: string) =>
  until('the worker has left it', () => reader.reports.some(({ attempt }) => attempt.jobId === id));

test('a cancellation ends a decoder that is in the middle of a page', async () => {
  const { id } = await submit('long.tiff');
  await untilReading(id);
  const pid = stopDecoder();
  await owner.call('POST', `/v1/jobs/${id}/cancel`);
  assert.equal((await ended(id)).status, 'canceled');
  await until('the decoder is gone', () => !isAlive(pid));
  assert.equal((await ended((await submit('short.tiff')).id)).status, 'succeeded');
});

test('jobs canceled while they wait are never begun', async () => {
  const running = await Promise.all(Array.from({ length: 4 }, () => submit('long.tiff')));
  for (const { id } of running) {
    await until(`${id} runs`, async () => (await jobOf(id)).status === 'running');
  }
  const waiting = await Promise.all(Array.from({ length: 20 }, () => submit('short.tiff')));
  for (const { id } of waiting) {
    const answer = await owner.call('POST', `/v1/jobs/${id}/cancel`);
    const { status, attempt, startedAt } = jobSchema.parse(answer.json());
    assert.deepEqual([answer.status, status, attempt, startedAt], [200, 'canceled', 0, null]);
  }
  for (const { id } of running) await owner.call('POST', `/v1/jobs/${id}/cancel`);
  for (const { id } of running) assert.equal((await ended(id)).status, 'canceled');
  const last = await submit('short.tiff');
  assert.equal((await ended(last.id)).status, 'succeeded');
  const began = new Set(reader.reports.map(({ attempt }) => attempt.jobId));
  assert.deepEqual(
    waiting.filter(({ id }) => began.has(id)),
    [],
  );
});

test('a deadline that passes in the middle ends the job in the same way', async () => {
  const linesBefore = linesRead();
  const { id, deadline } = await submit('long.tiff', { deadline: new Date(Date.now() + 6000).toISOString() });
  await untilReading(id);
  // So that it is in the middle at its deadline, however fast this machine is.
  const pid = stopDecoder();
  const job = await ended(id);
  const linesAtEnd = linesRead();
  await until('the decoder is gone', () => !isAlive(pid));
  assert.deepEqual([job.status, job.error?.code], ['expired', 'deadline-exceeded']);
  assert.ok(Date.parse(job.finishedAt ?? '') >= Date.parse(deadline ?? ''));
  await untilReported(id);
  assert.equal((await ended((await submit('short.tiff')).id)).status, 'succeeded');
  assert.ok(linesRead() - linesAtEnd - 1 <= maxBatchSize);
  assert.ok(linesRead() - linesBefore < pageCount, 'it expired in the middle');
  const { data } = pageListSchema.parse((await owner.get(`/v1/jobs/${id}/pages`)).json());
  for (const { href } of data.filter(({ status }) => status === 'succeeded').slice(0, 3)) {
    assert.equal((await owner.get(href)).status, 200);
  }
});
