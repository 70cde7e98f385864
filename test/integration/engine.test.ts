import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type FailureCode, JobFailure } from '@glyphmill/contract/failure';
import { type Mode, optionsSchema } from '@glyphmill/contract/request';
import type { Result } from '@glyphmill/contract/result';
import { characterErrorRate } from '@glyphmill/core/text-accuracy';
import { startDecoder } from '@glyphmill/engine/decoder';
import { type Engine, type EngineOptions, openEngine } from '@glyphmill/engine/engine';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { type Models, openModels } from '@glyphmill/inference/models';
import sharp from 'sharp';
import { loadSamples, samplesFolder, sampleText } from '../fixtures/sample-list.ts';

const repository = fileURLToPath(new URL('../../.glyphmill/models', import.meta.url));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const limits = { decoders: 2, decodeDeadlineMs: 20_000, maxPagePixels: 100e6, maxPages: 50 };
let models: Models;
let engine: Engine;

before(async () => {
  await importDefaultModels(repository);
  models = await openModels({ repository, log });
  engine = openEngine({ models, ...limits });
});
after(async () => {
  engine?.close();
  await models?.close();
});

interface Asked {
  mode?: Mode;
  options?: object;
  signal?: AbortSignal;
  with?: Engine;
}

async function read(bytes: Uint8Array, asked: Asked = {}): Promise<Result> {
  const { mode = 'document', options = {}, signal = new AbortController().signal } = asked;
  const reader = asked.with ?? engine;
  const document = await reader.scan(bytes, { mode, options: optionsSchema.parse(options), signal });
  return document.result(null);
}

async function failure(reading: Promise<unknown>): Promise<FailureCode> {
  const error: unknown = await reading.then(
    () => assert.fail('expected a failure'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof JobFailure, String(error));
  return error.failure.code;
}

async function withEngine(
  options: Partial<EngineOptions>,
  work: (engine: Engine) => Promise<void>,
): Promise<void> {
  const own = openEngine({ models, ...limits, ...options });
  try {
    await work(own);
  } finally {
    own.close();
  }
}

const sampleBytes = (file: string) => readFileSync(`${samplesFolder}${file}`);
const truthOf = (file: string) => {
  const sample = loadSamples().find((candidate) => candidate.file === file);
  return sample === undefined ? assert.fail(`no sample ${file}`) : sampleText(sample);
};
const notice = sampleBytes('notice.png');

const encodings: [name: string, bytes: () => Promise<Buffer>][] = [
  ['PNG', () => sharp(notice).png().toBuffer()],
  ['PNG with 16 bits', () => sharp(notice).toColourspace('rgb16').png().toBuffer()],
  ['PNG with a palette', () => sharp(notice).png({ palette: true }).toBuffer()],
  ['grey JPEG', () => sharp(notice).grayscale().jpeg({ quality: 95 }).toBuffer()],
  ['CMYK JPEG', () => sharp(notice).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer()],
  ['progressive JPEG', () => sharp(notice).jpeg({ quality: 95, progressive: true }).toBuffer()],
  ['WebP', () => sharp(notice).webp({ quality: 95 }).toBuffer()],
  ['GIF', () => sharp(notice).gif().toBuffer()],
  ['AVIF', () => sharp(notice).avif({ quality: 80, effort: 0 }).toBuffer()],
  ['TIFF', () => sharp(notice).tiff({ compression: 'lzw' }).toBuffer()],
];
for (const [name, bytes] of encodings) {
  test(`${name} is read`, async () => {
    const { text } = await read(await bytes());
    assert.ok(characterErrorRate(truthOf('notice.png'), text) < 0.05, text);
  });
}

test('black text on a transparent ground is read as on white', async () => {
  const { data, info } = await sharp(sampleBytes('line-english.png'))
    .grayscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pixels = Buffer.alloc(info.width * info.height * 4);
  for (let i = 0; i < info.width * info.height; i += 1)
    pixels[4 * i + 3] = 255 - (data[i * info.channels] ?? 0);
  const bytes = await sharp(pixels, { raw: { width: info.width, height: info.height, channels: 4 } })
    .png()
    .toBuffer();
  const { text } = await read(bytes, { mode: 'line' });
  assert.ok(characterErrorRate(truthOf('line-english.png'), text) < 0.05, text);
});

for (const orientation of [3, 6, 8]) {
  test(`a page stored with EXIF orientation ${orientation} is read upright, in upright coordinates`, async () => {
    const stored = { 3: 180, 6: 270, 8: 90 }[orientation] ?? 0;
    const bytes = await sharp(notice).rotate(stored).withMetadata({ orientation }).png().toBuffer();
    const [page] = (await read(bytes)).pages;
    const { width, height } = await sharp(notice).metadata();
    assert.deepEqual([page?.width, page?.height], [width, height]);
    assert.equal(page?.rotation, { 3: 180, 6: 90, 8: 270 }[orientation]);
    assert.ok(characterErrorRate(truthOf('notice.png'), page?.text ?? '') < 0.05);
  });
}

test('a blank page is a success without text', async () => {
  const bytes = await sharp({ create: { width: 800, height: 600, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  const result = await read(bytes);
  assert.equal(result.text, '');
  assert.equal(result.confidence, null);
  assert.deepEqual(result.usage, { pages: 1, lines: 0, megapixels: 0.48 });
});

for (const [width, height] of [
  [1, 1],
  [1, 20_000],
  [20_000, 1],
] as const) {
  test(`an image of ${width} × ${height} pixels is a success without text`, async () => {
    const bytes = await sharp({ create: { width, height, channels: 3, background: '#888' } })
      .png()
      .toBuffer();
    assert.equal((await read(bytes)).text, '');
    assert.equal(typeof (await read(bytes, { mode: 'line' })).text, 'string');
  });
}

test('all pages of a TIFF are read, or those asked for', async () => {
  const report = sampleBytes('report.tiff');
  const all = await read(report);
  assert.equal(all.pages.length, 4);
  assert.equal(all.text.split('\f').length, 4);
  const some = await read(report, { options: { pages: '2,4' } });
  assert.deepEqual(
    some.pages.map(({ number, text }) => [number, text]),
    [all.pages[1], all.pages[3]].map((page) => [page?.number, page?.text]),
  );
  assert.equal(await failure(read(report, { options: { pages: '3-5' } })), 'invalid-page-range');
  await withEngine({ maxPages: 3 }, async (own) => {
    assert.equal(await failure(read(report, { with: own })), 'too-many-pages');
  });
});

test('progress counts the pages', async () => {
  const seen: string[] = [];
  const onProgress = (pages: { pagesTotal: number; pagesDone: number }) =>
    seen.push(`${pages.pagesDone}/${pages.pagesTotal}`);
  const signal = new AbortController().signal;
  const document = await engine.scan(sampleBytes('report.tiff'), {
    mode: 'document',
    options: optionsSchema.parse({}),
    signal,
    onProgress,
  });
  await document.result(null);
  assert.deepEqual(seen, ['0/4', '1/4', '2/4', '3/4', '4/4']);
});

test('of an animation the first frame is read, and said to be', async () => {
  const { data, info } = await sharp(notice).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const two = Buffer.concat([data, Buffer.alloc(data.length, 128)]);
  const bytes = await sharp(two, {
    raw: { width: info.width, height: info.height * 2, channels: info.channels, pageHeight: info.height },
  })
    .webp()
    .toBuffer();
  const result = await read(bytes);
  assert.deepEqual(
    result.warnings.map(({ code }) => code),
    ['first-frame-only'],
  );
  assert.ok(characterErrorRate(truthOf('notice.png'), result.text) < 0.05);
});

test('minConfidence leaves lines out and says how many; characters come when asked for', async () => {
  const all = await read(notice, { options: { characters: true } });
  const characters = all.pages[0]?.lines[0]?.characters ?? [];
  assert.equal(characters.map(({ text }) => text).join(''), all.pages[0]?.lines[0]?.text);
  const none = await read(notice, { options: { minConfidence: 1 } });
  assert.equal(none.text, '');
  assert.match(none.warnings[0]?.message ?? '', new RegExp(`^${all.usage.lines} lines`));
});

test('every reading names its models, their digests and the provider', async () => {
  const { engine: by } = await read(notice);
  assert.deepEqual(
    by.models.map(({ role, provider }) => `${role} ${provider}`),
    ['detect cpu', 'recognize cpu'],
  );
  for (const { sha256 } of by.models) assert.match(sha256, /^[0-9a-f]{64}$/);
  assert.match(by.runtime, /^onnxruntime \d/);
});

const refusals: [code: FailureCode, what: string, bytes: () => Promise<Uint8Array>][] = [
  ['empty-document', 'no bytes', async () => new Uint8Array()],
  ['unsupported-document', 'text', async () => Buffer.from('no picture')],
  ['unsupported-document', 'SVG', async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
  ['corrupt-document', 'half a PNG', async () => notice.subarray(0, notice.length / 2)],
  ['corrupt-document', 'half a JPEG', async () => sampleBytes('invoice.jpg').subarray(0, 20_000)],
  [
    'corrupt-document',
    'a PNG with damaged pixels',
    async () => Buffer.concat([notice.subarray(0, 3000), Buffer.alloc(500), notice.subarray(3500)]),
  ],
  ['corrupt-document', 'only a header', async () => notice.subarray(0, 8)],
];
for (const [code, what, bytes] of refusals) {
  test(`${what} is refused as ${code}`, async () => {
    assert.equal(await failure(read(await bytes())), code);
  });
}

test('a page above the pixel limit is refused before it is decoded', async () => {
  await withEngine({ maxPagePixels: 100_000 }, async (own) => {
    assert.equal(await failure(read(notice, { with: own })), 'image-too-large');
  });
});

test('a page that takes too long is cut off, and the next document is read', async () => {
  const slow = await sharp({ create: { width: 9000, height: 9000, channels: 3, background: '#fff' } })
    .png({ compressionLevel: 1 })
    .toBuffer();
  await withEngine({ decoders: 1, decodeDeadlineMs: 60 }, async (own) => {
    assert.equal(await failure(read(slow, { with: own })), 'decode-timeout');
  });
  assert.equal((await read(notice)).pages.length, 1);
});

test('a decoder that needs too much memory is told from one that crashes', async () => {
  const large = await sharp({ create: { width: 12_000, height: 8000, channels: 3, background: '#fff' } })
    .png({ compressionLevel: 1 })
    .toBuffer();
  const never = new AbortController().signal;
  const decoder = startDecoder({ deadlineMs: 20_000, memoryBytes: 350_000_000 });
  const decode = async () => {
    await decoder.open({ bytes: large, maxPagePixels: 100e6, maxPages: 1 }, never);
    await decoder.page({ number: 1, maxSideLength: 960 }, never);
  };
  assert.equal(await failure(decode()), 'decode-out-of-memory');
  decoder.kill();
});

test('a worker that stood still hears first what the decoder answered meanwhile, and then looks at the clock', async () => {
  const deadlineMs = 5000;
  const signal = new AbortController().signal;
  const decoder = startDecoder({ deadlineMs, memoryBytes: 1e9 });
  await decoder.open({ bytes: notice, maxPagePixels: 10e6, maxPages: 1 }, signal);
  const answered = decoder.page({ number: 1, maxSideLength: 960 }, signal);
  // As a stopped process, or one on a machine that is starved.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, deadlineMs + 500);
  assert.ok((await answered).width > 0);
  decoder.kill();
});

test('a document that waits for its lines holds none of its bytes', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const signal = new AbortController().signal;
  const scanOnce = async () => {
    const bytes = Uint8Array.from(notice);
    const document = await engine.scan(bytes, { mode: 'document', options: optionsSchema.parse({}), signal });
    return { document, held: new WeakRef(bytes) };
  };
  const { document, held } = await scanOnce();
  const deadline = Date.now() + 10_000;
  while (held.deref() !== undefined && Date.now() < deadline) {
    await delay(20);
    collect();
  }
  assert.equal(held.deref(), undefined, 'the bytes are still reachable');
  assert.equal((await document.result(null)).pages.length, 1);
});

test('what is aborted stops with its reason and takes no neighbour along', async () => {
  const stop = new AbortController();
  const stopped = read(sampleBytes('report.tiff'), { signal: stop.signal });
  const neighbour = read(notice);
  stop.abort(new Error('not wanted any more'));
  await assert.rejects(stopped, /not wanted any more/);
  assert.ok(characterErrorRate(truthOf('notice.png'), (await neighbour).text) < 0.05);
  assert.equal(engine.bytesInFlight, 0);
});

test('the same image gives the same text and confidence alone and among others', async () => {
  const alone = await read(notice);
  const others = ['receipt.jpg', 'zh-sign.webp', 'codes.png'].map((file) => read(sampleBytes(file)));
  const among = await Promise.all([read(notice), read(notice), ...others]);
  const plain = ({ pages }: Result) => pages.map(({ timings, ...page }) => page);
  assert.deepEqual(plain(among[0] ?? alone), plain(alone));
  assert.deepEqual(plain(among[1] ?? alone), plain(alone));
});

test('a result names the micro-batches that its lines rode in, where it is asked to', async () => {
  const [asked, plain] = await Promise.all([read(notice, { options: { microBatches: true } }), read(notice)]);
  const lines = asked.pages.flatMap((page) => page.lines);
  const rides = asked.microBatches ?? [];
  assert.equal(rides.filter(({ role }) => role === 'detect').length, 1);
  const ridesOfLines = rides.filter(({ role }) => role === 'recognize');
  assert.ok(ridesOfLines.length > 0);
  for (const { id, own } of ridesOfLines) {
    assert.equal(lines.filter(({ microBatch }) => microBatch === id).length, own);
  }
  assert.ok(lines.every(({ microBatch }) => ridesOfLines.some(({ id }) => id === microBatch)));
  for (const { id, own, size, fill, queueDelayMs, runMs } of rides) {
    assert.ok(own >= 1 && own <= size && fill > 0 && fill <= 1 && queueDelayMs >= 0 && runMs > 0, id);
  }
  assert.equal(plain.microBatches, undefined);
  assert.ok(plain.pages.every((page) => page.lines.every((line) => !('microBatch' in line))));
});
