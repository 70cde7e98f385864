import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { optionsSchema } from '@glyphmill/contract/request';
import { type Engine, openEngine } from '@glyphmill/engine/engine';
import { type Models, openModels } from '@glyphmill/inference/models';
import sharp from 'sharp';
import { writeTinyModel } from './inference-onnx.ts';
import { newRepository, quietLog, until } from './inference-samples.ts';

/** Of a line: with three bytes a pixel 26 of them are what the engine lets wait, and the document has more. */
const line = { width: 2560, height: 480 };
const waiting = 26;
const pages = 30;

let repository = '';
let models: Models;
let engine: Engine;

before(async () => {
  repository = await newRepository();
  // It waits for more lines than there will be.
  await writeTinyModel(repository, {
    name: 'patient',
    kind: 'plain',
    height: line.height,
    widthLadder: String(line.width),
    maxBatchSize: 1000,
    extra: 'dynamic_batching { max_queue_delay_microseconds: 600000000 }',
  });
  models = await openModels({
    repository,
    names: { recognize: 'patient' },
    provider: 'cpu',
    instances: { recognize: 1 },
    log: quietLog(),
  });
  engine = openEngine({
    models,
    decoders: 1,
    decodeDeadlineMs: 20_000,
    maxPagePixels: 2e6,
    maxPages: pages,
  });
});
after(async () => {
  engine?.close();
  await models?.close(0);
  await rm(repository, { recursive: true });
});

test('lines that wait stop decoding once their pixels are as many as may wait, and later documents with it', async () => {
  const page = await sharp({ create: { ...line, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  const tiff = await sharp(
    Array.from({ length: pages }, () => page),
    { join: { animated: true } },
  )
    .tiff({ compression: 'lzw' })
    .toBuffer();
  const stop = new AbortController();
  const options = optionsSchema.parse({});
  const begun: string[] = [];
  const scan = (name: string, bytes: Buffer, signal: AbortSignal) =>
    engine.scan(bytes, { mode: 'line', options, signal, onBegin: () => begun.push(name) });
  const first = scan('first', tiff, stop.signal).then((document) => document.result(null));
  const stopped = assert.rejects(first, /enough/);
  const other = new AbortController();
  const second = scan('second', page, other.signal).then((document) => document.result(null));
  const alsoStopped = assert.rejects(second, /enough/);

  await until('as many lines wait as may', () => models.waiting() === waiting, 60_000);
  assert.ok(engine.bytesInFlight <= 96_000_000);
  // The next page is decoded by now; its line does not fit.
  const deadline = performance.now() + 500;
  await until('some time is over', () => performance.now() > deadline);
  assert.equal(models.waiting(), waiting);
  assert.deepEqual(begun, ['first']);

  stop.abort(new Error('enough'));
  await stopped;
  await until('the next document is begun', () => begun.includes('second'));
  other.abort(new Error('enough'));
  await alsoStopped;
  assert.equal(engine.bytesInFlight, 0);
});
