// Pages of a document that can be read while its job runs, through the API, a real S3 wire and the worker's pipeline.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { isFinal, type Job, jobSchema } from '@glyphmill/contract/job';
import { pageListSchema, pageSchema } from '@glyphmill/contract/result';
import type { Fault } from '@glyphmill/embedded/s3-faults';
import { type Api, type Caller, type Stores, startApi, startStores } from './api-setup.ts';
import { writeTinyModel } from './inference-onnx.ts';
import { newRepository } from './inference-samples.ts';
import { until } from './queue-setup.ts';
import { type Reader, startReader } from './reader-setup.ts';
import { corruptPage, documentOf, greyPage } from './tiff-pages.ts';

let repository: string;
let stores: Stores;
let api: Api;
let owner: Caller;
let reader: Reader;
/** What happens to requests for pages in the system bucket. */
let pageFault: ((operation: string) => Fault | undefined) | undefined;

before(async () => {
  repository = await newRepository();
  // A white page makes its run last for ever, and each page is a micro-batch of its own.
  await writeTinyModel(repository, { name: 'hang', kind: 'hang', maxBatchSize: 1 });
  stores = await startStores(({ key, operation }) =>
    key.startsWith('pages/') ? pageFault?.(operation) : undefined,
  );
  api = await startApi(stores);
  owner = api.caller();
  await api.objects.ensureBucket('in-box');
  reader = await startReader(api, { repository, model: 'hang' });
});
after(async () => {
  await reader?.close();
  await api.close();
  await stores.stop();
  await rm(repository, { recursive: true });
});

async function submit(bytes: Buffer, body: object = {}): Promise<string> {
  const address = { bucket: 'in-box', key: 'a/scan.tiff' };
  const signal = AbortSignal.timeout(10_000);
  await api.objects.write(address, bytes, { contentType: 'image/tiff', signal });
  return (await owner.submit({ source: { type: 's3', ...address }, mode: 'line', ...body })).id;
}

const grey = (count: number, others: Record<number, Buffer> = {}) =>
  greyPage(120).then((page) =>
    documentOf(
      count,
      Object.fromEntries(Array.from({ length: count }, (_, i) => [i + 1, others[i + 1] ?? page])),
    ),
  );
/** Of five pages the fourth hangs and the second is corrupt. */
const stuckDocument = async () => grey(5, { 2: await corruptPage(), 4: await greyPage(255) });

const jobOf = async (id: string): Promise<Job> => jobSchema.parse((await owner.get(`/v1/jobs/${id}`)).json());
const ended = (id: string) =>
  until(
    `end of ${id}`,
    async () => {
      const job = await jobOf(id);
      return isFinal(job.status) && job;
    },
    30_000,
  );
const list = async (id: string, query = '') =>
  pageListSchema.parse((await owner.get(`/v1/jobs/${id}/pages${query}`)).json());
const statuses = async (id: string) => (await list(id)).data.map(({ status }) => status);
const pageObjects = async (id: string) =>
  (await api.keysIn(api.config.s3SystemBucket)).filter((key) => key.startsWith(`pages/${id}/`));
const untilThreeDone = (id: string) =>
  until(
    'three pages are through',
    async () => {
      const { pagesDone, pagesFailed } = (await jobOf(id)).progress;
      return pagesDone + pagesFailed === 3;
    },
    30_000,
  );

test('pages are readable while their job runs, and after a cancellation as long as the job is', async () => {
  const id = await submit(await stuckDocument());
  await untilThreeDone(id);
  const job = await jobOf(id);
  assert.deepEqual(job.progress, { pagesTotal: 5, pagesDone: 2, pagesFailed: 1 });
  assert.equal(job.links.pages, `/v1/jobs/${id}/pages`);
  const running = await list(id);
  assert.deepEqual(
    running.data.map(({ number, status, href }) => [number, status, href]),
    ['succeeded', 'failed', 'succeeded', 'unread', 'unread'].map((status, index) => [
      index + 1,
      status,
      `/v1/jobs/${id}/pages/${index + 1}`,
    ]),
  );
  await readsThree(id);
  const unread = await owner.refused('job-not-finished', 'GET', `/v1/jobs/${id}/pages/4`);
  assert.match(unread.headers.get('retry-after') ?? '', /^\d+$/);
  for (const number of ['6', '0', '-1', '1.5', 'x', '1e9']) {
    await owner.refused('not-found', 'GET', `/v1/jobs/${id}/pages/${number}`);
  }
  await api.caller({ tenant: 'other' }).refused('not-found', 'GET', `/v1/jobs/${id}/pages/1`);
  await api.caller({ tenant: 'other' }).refused('not-found', 'GET', `/v1/jobs/${id}/pages`);
  await owner.refused('job-not-finished', 'GET', `/v1/jobs/${id}/result`);

  await owner.call('POST', `/v1/jobs/${id}/cancel`);
  assert.equal((await ended(id)).status, 'canceled');
  assert.deepEqual(await list(id), running);
  await readsThree(id);
  await owner.refused('job-canceled', 'GET', `/v1/jobs/${id}/pages/4`);
  const none = await owner.refused('job-canceled', 'GET', `/v1/jobs/${id}/result`);
  assert.match(none.detail, new RegExp(`3, at /v1/jobs/${id}/pages`));

  assert.equal((await pageObjects(id)).length, 3);
  assert.equal((await owner.call('DELETE', `/v1/jobs/${id}`)).status, 204);
  assert.deepEqual(await pageObjects(id), []);
  await owner.refused('not-found', 'GET', `/v1/jobs/${id}/pages/1`);
});

/** Pages 1 and 3 are read, page 2 has failed. */
async function readsThree(id: string): Promise<void> {
  for (const number of [1, 3]) {
    const answer = await owner.get(`/v1/jobs/${id}/pages/${number}`);
    const page = pageSchema.parse(answer.json());
    assert.deepEqual([page.number, page.status, page.text], [number, 'succeeded', 'a']);
    const text = await owner.get(`/v1/jobs/${id}/pages/${number}?format=text`);
    assert.deepEqual([text.text, text.headers.get('content-type')], ['a', 'text/plain; charset=utf-8']);
  }
  const failed = pageSchema.parse((await owner.get(`/v1/jobs/${id}/pages/2`)).json());
  assert.deepEqual([failed.status, failed.error?.code], ['failed', 'corrupt-document']);
  const problem = await owner.refused('page-failed', 'GET', `/v1/jobs/${id}/pages/2?format=text`);
  assert.match(problem.detail, /page 2 cannot be decoded/);
  await owner.refused('format-not-available', 'GET', `/v1/jobs/${id}/pages/1?format=pdf`);
}

test('a job that runs out of time keeps the pages that were read', async () => {
  const id = await submit(await stuckDocument(), { timeoutSeconds: 15 });
  const job = await ended(id);
  assert.deepEqual([job.status, job.error?.code], ['failed', 'timeout']);
  assert.deepEqual(await statuses(id), ['succeeded', 'failed', 'succeeded', 'unread', 'unread']);
  await readsThree(id);
  const unread = await owner.refused('job-failed', 'GET', `/v1/jobs/${id}/pages/5`);
  assert.match(unread.detail, /^The job ended before page 5 was read\. timeout: /);
  assert.match((await owner.refused('job-failed', 'GET', `/v1/jobs/${id}/result`)).detail, /pages\.$/);
});

test('after the end the pages are those of the result, and their own objects are removed', async () => {
  const id = await submit(await grey(3, { 2: await corruptPage() }));
  const job = await ended(id);
  assert.equal(job.status, 'partial');
  assert.deepEqual(job.progress, { pagesTotal: 3, pagesDone: 2, pagesFailed: 1 });
  assert.deepEqual(
    job.warnings.map(({ code, page }) => [code, page]),
    [['page-failed', 2]],
  );
  assert.deepEqual([job.usage?.pages, job.usage?.lines], [2, 2]);
  assert.deepEqual(await statuses(id), ['succeeded', 'failed', 'succeeded']);
  await readsThree(id);
  await owner.refused('not-found', 'GET', `/v1/jobs/${id}/pages/4`);
  const result: unknown = (await owner.get(`/v1/jobs/${id}/result`)).json();
  assert.deepEqual((await owner.get(`/v1/jobs/${id}/pages/2`)).json(), Object(result).pages[1]);
  await until('the page objects are gone', async () => (await pageObjects(id)).length === 0);
  assert.deepEqual(reader.warnings, []);
});

test('of a range only its pages are there, listed in parts', async () => {
  const id = await submit(await grey(9), { options: { pages: '2-4,7' } });
  assert.equal((await ended(id)).status, 'succeeded');
  const first = await list(id, '?limit=3');
  assert.deepEqual([first.data.map(({ number }) => number), first.nextCursor], [[2, 3, 4], '4']);
  const second = await list(id, `?limit=3&cursor=${first.nextCursor}`);
  assert.deepEqual([second.data.map(({ number }) => number), second.nextCursor], [[7], null]);
  const problem = await owner.refused('not-found', 'GET', `/v1/jobs/${id}/pages/1`);
  assert.match(problem.detail, /reads the pages 2-4,7/);
  await owner.refused('validation-failed', 'GET', `/v1/jobs/${id}/pages?limit=101`);
  await owner.refused('unknown-field', 'GET', `/v1/jobs/${id}/pages?page=1`);
});

test('a document of one page has that page in its result only', async () => {
  const id = await submit(await greyPage(120));
  const { nextCursor, ...before } = await list(id);
  assert.ok(nextCursor === null && before.data.length <= 1);
  await ended(id);
  assert.deepEqual(await statuses(id), ['succeeded']);
  assert.equal((await owner.get(`/v1/jobs/${id}/pages/1?format=text`)).text, 'a');
  assert.deepEqual(await pageObjects(id), []);
});

test('while the store takes no pages the job is read as ever, and a few warnings tell', async () => {
  pageFault = (operation) => (operation === 'PutObject' ? { status: 403, code: 'AccessDenied' } : undefined);
  try {
    const id = await submit(await grey(30));
    const job = await ended(id);
    assert.equal(job.status, 'succeeded');
    assert.deepEqual(job.progress, { pagesTotal: 30, pagesDone: 30, pagesFailed: 0 });
    assert.equal((await list(id)).data.length, 30);
    const warnings = reader.warnings.splice(0);
    assert.ok(warnings.length >= 3 && warnings.length <= 3 + 8, `${warnings.length} warnings`);
    for (const warning of warnings) assert.match(warning, /before its job ends: pages\/job_/);
  } finally {
    pageFault = undefined;
  }
});

test('a store that never answers for pages does not hold up the end of the job', async () => {
  pageFault = (operation) => (operation === 'PutObject' ? { hangMs: 20_000 } : undefined);
  try {
    const begunMs = performance.now();
    const id = await submit(await grey(4));
    const job = await ended(id);
    assert.equal(job.status, 'succeeded');
    assert.ok(performance.now() - begunMs < 15_000);
    assert.deepEqual(reader.warnings, []);
  } finally {
    pageFault = undefined;
  }
});

test('a page whose object is gone is not found, and no fault of the API', async () => {
  const id = await submit(await stuckDocument());
  await untilThreeDone(id);
  await owner.call('POST', `/v1/jobs/${id}/cancel`);
  await ended(id);
  const signal = AbortSignal.timeout(5000);
  await api.objects.removeAll({ bucket: api.config.s3SystemBucket, prefix: `pages/${id}/1.` }, { signal });
  await owner.refused('job-canceled', 'GET', `/v1/jobs/${id}/pages/1`);
  pageFault = () => ({ status: 503, code: 'SlowDown' });
  try {
    await owner.refused('storage-unavailable', 'GET', `/v1/jobs/${id}/pages/3`);
  } finally {
    pageFault = undefined;
  }
});
