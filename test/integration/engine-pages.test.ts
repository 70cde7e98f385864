// Documents of several pages, some of which cannot be read.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JobFailure } from '@glyphmill/contract/failure';
import { type Mode, optionsSchema } from '@glyphmill/contract/request';
import { type Result, resultSchema } from '@glyphmill/contract/result';
import { Budget } from '@glyphmill/engine/budget';
import type { Decoder } from '@glyphmill/engine/decoder';
import { type DecoderPool, openDecoderPool } from '@glyphmill/engine/decoder-pool';
import { type EngineOptions, openEngine } from '@glyphmill/engine/engine';
import { createPageReader } from '@glyphmill/engine/page-reader';
import { Scan, type ScanProgress } from '@glyphmill/engine/scan';
import { scanPages } from '@glyphmill/engine/scan-pages';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { type Models, openModels } from '@glyphmill/inference/models';
import { writeTinyModel } from './inference-onnx.ts';
import { newRepository } from './inference-samples.ts';
import { stopDecoder } from './processes.ts';
import { corruptPage, documentOf, greyPage, hugePage } from './tiff-pages.ts';

const repository = fileURLToPath(new URL('../../.glyphmill/models', import.meta.url));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const limits = { decoders: 1, decodeDeadlineMs: 20_000, maxPagePixels: 1e6, maxPages: 50 };
const never = new AbortController().signal;
let models: Models;

before(async () => {
  await importDefaultModels(repository);
  models = await openModels({ repository, log });
});
after(() => models?.close());

interface Asked {
  models?: Models;
  mode?: Mode;
  options?: object;
  engine?: Partial<EngineOptions>;
  onProgress?: (progress: ScanProgress) => void;
}

async function read(bytes: Uint8Array, asked: Asked = {}): Promise<Result> {
  const engine = openEngine({ models: asked.models ?? models, ...limits, ...asked.engine });
  const { mode = 'line', onProgress = () => {} } = asked;
  try {
    const options = optionsSchema.parse(asked.options ?? {});
    const document = await engine.scan(bytes, { mode, options, signal: never, onProgress });
    const result = await document.result(null);
    assert.equal(engine.bytesInFlight, 0);
    return resultSchema.parse(result);
  } finally {
    engine.close();
  }
}

async function failureOf(reading: Promise<unknown>) {
  const error: unknown = await reading.then(
    () => assert.fail('expected a failure'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof JobFailure, String(error));
  return error.failure;
}

const outcomes = ({ pages }: Result) =>
  pages.map(({ number, status, error }) => `${number} ${status}${error === null ? '' : ` ${error.code}`}`);

test('a corrupt page and one that is too large cost no other page of the document', async () => {
  const bytes = await documentOf(5, { 1: await hugePage(), 3: await corruptPage() });
  const seen: string[] = [];
  const result = await read(bytes, {
    onProgress: ({ pagesDone, pagesFailed, pagesTotal, page }) =>
      seen.push(`${pagesDone}+${pagesFailed}/${pagesTotal} ${page?.number ?? '-'}`),
  });
  assert.deepEqual(outcomes(result), [
    '1 failed image-too-large',
    '2 succeeded',
    '3 failed corrupt-document',
    '4 succeeded',
    '5 succeeded',
  ]);
  const [first, second] = result.pages;
  assert.deepEqual([first?.width, first?.text, first?.error?.page], [null, '', 1]);
  assert.ok(second !== undefined && second.text.length > 10);
  assert.equal(result.text, ['', second.text, '', second.text, second.text].join('\f'));
  assert.deepEqual(result.usage, { pages: 3, lines: 3, megapixels: 0.103 });
  assert.deepEqual(
    result.warnings.map(({ code, page }) => [code, page]),
    [
      ['page-failed', 1],
      ['page-failed', 3],
    ],
  );
  assert.equal(seen[0], '0+0/5 -');
  assert.equal(seen.length, 6);
  assert.match(seen[5] ?? '', /^3\+2\/5 /);
  assert.deepEqual(
    seen.map((text) => text.split(' ')[1]).sort(),
    ['-', '1', '2', '3', '4', '5'],
    'each page is told once',
  );
});

test('a bad page that was not asked for does not matter', async () => {
  const bytes = await documentOf(3, { 1: await hugePage(), 2: await corruptPage() });
  assert.deepEqual(outcomes(await read(bytes, { options: { pages: '3' } })), ['3 succeeded']);
});

test('a document none of whose pages can be read fails with the first one’s failure', async () => {
  const bytes = await documentOf(3, { 1: await corruptPage(), 2: await hugePage(), 3: await corruptPage() });
  const { code, page, retryable } = await failureOf(read(bytes));
  assert.deepEqual([code, page, retryable], ['corrupt-document', 1, false]);
});

test('a page whose decoding takes too long is cut off, and the pages after it are read', async () => {
  const bytes = await documentOf(3);
  const result = await read(bytes, {
    engine: { decodeDeadlineMs: 8000 },
    // Told just before the first page is decoded.
    onProgress: ({ page, pagesDone }) => {
      if (page === undefined && pagesDone === 0) stopDecoder();
    },
  });
  assert.deepEqual(outcomes(result), ['1 failed decode-timeout', '2 succeeded', '3 succeeded']);
});

/** Reads a document while the child that is asked for a page that `isDeadly` dies at that moment. */
async function readWithDeaths(
  bytes: Uint8Array,
  isDeadly: (page: number, death: number) => boolean,
  // Whether the child after the first death hangs before it has opened the document.
  { isStuckAfterwards = false, deadlineMs = 20_000 } = {},
) {
  const scan = new Scan({ mode: 'line', options: optionsSchema.parse({}), signal: never });
  const pool = openDecoderPool({ decoders: 1, deadlineMs, memoryBytes: 600e6 });
  const reader = createPageReader({ models, inFlight: new Budget(1e6) });
  let deaths = 0;
  const dieAt = (page: number, decoder: Decoder) => {
    if (!isDeadly(page, deaths + 1)) return;
    deaths += 1;
    decoder.kill();
  };
  const mortal = (decoder: Decoder): Decoder => ({
    open: (request, signal) => {
      if (deaths === 1 && isStuckAfterwards) {
        isStuckAfterwards = false;
        stopDecoder();
      }
      return decoder.open(request, signal);
    },
    page: (request, signal) => {
      dieAt(request.number, decoder);
      return decoder.page(request, signal);
    },
    crop: decoder.crop,
    whole: decoder.whole,
    reset: decoder.reset,
    get alive() {
      return decoder.alive;
    },
    kill: decoder.kill,
  });
  const decoders: DecoderPool = {
    use: (signal, work) => pool.use(signal, (decoder) => work(mortal(decoder))),
    close: pool.close,
  };
  try {
    const document = { bytes, maxPagePixels: 1e6, maxPages: 50 };
    await scanPages(document, { decoders, reader, scan }).catch((error) => scan.fail(error));
    return { pages: await scan.pages(), deaths };
  } finally {
    pool.close();
  }
}

test('a decoder that crashes once costs no page, and one that crashes at a page again costs that page', async () => {
  const bytes = await documentOf(4);
  const once = await readWithDeaths(bytes, (page, death) => page === 2 && death === 1);
  assert.deepEqual(
    once.pages.map(({ number, status }) => [number, status]),
    [1, 2, 3, 4].map((number) => [number, 'succeeded']),
  );
  assert.equal(once.deaths, 1);
  const again = await readWithDeaths(bytes, (page) => page === 2);
  assert.deepEqual(
    again.pages.map(({ number, error }) => [number, error?.code ?? null]),
    [
      [1, null],
      [2, 'decode-crashed'],
      [3, null],
      [4, null],
    ],
  );
  assert.equal(again.deaths, 2);
});

test('a fresh decoder that does not open the document in time is replaced too', async () => {
  const { pages } = await readWithDeaths(await documentOf(3), (page, death) => page === 2 && death === 1, {
    isStuckAfterwards: true,
    deadlineMs: 8000,
  });
  assert.deepEqual(
    pages.map(({ status }) => status),
    ['succeeded', 'succeeded', 'succeeded'],
  );
});

test('a document that goes on ending its decoders is given up after eight, with what was read kept', async () => {
  const { pages, deaths } = await readWithDeaths(await documentOf(9), (page) => page > 1);
  assert.equal(deaths, 8);
  assert.deepEqual(
    pages.map(({ status }) => status),
    ['succeeded', ...Array.from({ length: 8 }, () => 'failed')],
  );
  assert.doesNotMatch(pages[4]?.error?.message ?? '', /Not tried/);
  assert.match(
    pages[5]?.error?.message ?? '',
    /^Not tried, since pages before it ended their decoder 8 times/,
  );
});

test('a crash at the only page of a document is left to another attempt', async () => {
  const failure = await failureOf(readWithDeaths(await documentOf(1), (page) => page === 1));
  assert.deepEqual([failure.code, failure.retryable], ['decode-crashed', true]);
});

test('a page that the model fails at for good costs no other page; while no model can be had the document waits', async () => {
  const folder = await newRepository();
  await writeTinyModel(folder, { name: 'nan', kind: 'nan' });
  const names = { recognize: 'nan' };
  const grey = await greyPage(128);
  const bytes = await documentOf(3, { 1: grey, 2: await greyPage(0), 3: grey });
  const open = (bounds: object) => openModels({ repository: folder, names, limits: bounds, log });
  const [well, full] = await Promise.all([open({}), open({ maxWaitingItems: 0 })]);
  try {
    const result = await read(bytes, { models: well });
    assert.deepEqual(outcomes(result), ['1 succeeded', '2 failed model-error', '3 succeeded']);
    assert.equal(result.pages[1]?.error?.phase, 'recognize');
    const { code, retryable } = await failureOf(read(bytes, { models: full }));
    assert.deepEqual([code, retryable], ['model-unavailable', true]);
  } finally {
    await Promise.all([well.close(), full.close(), rm(folder, { recursive: true })]);
  }
});
