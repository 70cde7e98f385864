import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { packPage } from '@glyphmill/core/detection';
import { packLines } from '@glyphmill/core/recognition';
import type { LineCrop } from '@glyphmill/core/rectify';
import type { Region } from '@glyphmill/core/regions';
import { defaultWidthLadder, ladderWidth } from '@glyphmill/core/widths';
import { compareModels } from '@glyphmill/inference/model-compare';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import type { Probe } from '@glyphmill/inference/model-probes';
import { type Models, openModels } from '@glyphmill/inference/models';
import { decodeModel, encodeModel } from '@glyphmill/inference/onnx-model';
import { infer, openSession } from '@glyphmill/inference/session';
import sharp from 'sharp';
import { openMessage } from '../unit/graph-setup.ts';
import { plainFiles, writePlainModels } from './graph-plain.ts';
import { newRepository, quietLog, sampleLines } from './inference-samples.ts';

/** Pages and line pictures of every kind: photographed, printed, Chinese, white on black. */
const files = [
  'letter.png',
  'receipt.jpg',
  'zh-receipt.jpg',
  'mixed-slide.png',
  'white-on-black.png',
  'line-english.png',
  'line-chinese.png',
  'line-digits.png',
  'line-price.jpg',
  'line-white-on-dark.png',
];
/**
 * Where two answers are nearly as likely, rounding moves a probability by up to 6e-4 on the lines of all samples, and as
 * far with the unchanged file between the runtime's optimisations and none.
 */
const toleranceInDoubt = 1e-3;

describe('the default models, with and without the graph work of their import', () => {
  let imported = '';
  let plain = '';
  let models: Models;
  let plainModels: Models;
  let lines: LineCrop[];

  before(async () => {
    imported = await newRepository();
    plain = await mkdtemp(join(tmpdir(), 'glyphmill-plain-'));
    await writePlainModels(plain);
    const open = (repository: string) =>
      openModels({ repository, provider: 'cpu', instances: { recognize: 1 }, log: quietLog() });
    [models, plainModels] = await Promise.all([open(imported), open(plain)]);
    lines = [];
    for (const file of files) lines.push(...(await sampleLines(models, file)));
    assert.ok(lines.length > 60, `expected more than 60 lines, got ${lines.length}`);
  });

  after(async () => {
    await Promise.all([models?.close(), plainModels?.close()]);
    for (const folder of [imported, plain]) await rm(folder, { recursive: true });
  });

  /** Runs one model file with the config beside it. */
  const session = async (repository: string, name: string) => {
    const configPath = join(repository, name, 'config.pbtxt');
    const config = parseModelConfig(await readFile(configPath, 'utf8'), configPath);
    const opened = await openSession(openMessage(join(repository, name, '1/model.onnx')), config);
    return (data: Float32Array, dims: number[]) => infer(opened.session, config, data, dims);
  };

  it('read every line alike, nearly all with the same confidence', async (t) => {
    const read = (from: Models) => Promise.all(lines.map((line) => from.recognize(line)));
    const [before, after] = await Promise.all([read(plainModels), read(models)]);
    const moved = after.map(({ reading }, i) => {
      assert.equal(reading.text, before[i]?.reading.text, `line ${i}`);
      return Math.abs(reading.confidence - (before[i]?.reading.confidence ?? Number.NaN));
    });
    assert.ok(
      moved.every((distance) => distance < toleranceInDoubt),
      `moved by ${Math.max(...moved)}`,
    );
    const same = moved.filter((distance) => distance < 1e-5).length;
    t.diagnostic(
      `confidence of ${same} of ${moved.length} lines within 1e-5, of all within ${Math.max(...moved)}`,
    );
    assert.ok(same >= moved.length * 0.95);
  });

  it('find the same lines on a page', async () => {
    const page = await smallPage();
    const detect = async (from: Models) => (await from.detect(page)).regions;
    const [before, after] = await Promise.all([detect(plainModels), detect(models)]);
    assert.ok(before.length > 10, `found ${before.length}`);
    assert.deepEqual(after.map(corners), before.map(corners));
  });

  it('read pages whose map reaches 1 + 2⁻²³, as the runtime’s sigmoid may', async () => {
    for (const [from, file] of [
      [plainModels, 'small-print.png'],
      [models, 'story.png'],
    ] as const)
      assert.ok((await sampleLines(from, file)).length > 10, file);
  });

  /** Throws where more than rounding is between the two. */
  const compare = async (name: 'ppocrv4-det' | 'ppocrv4-rec', inputs: readonly Probe[]) => {
    const configPath = join(imported, name, 'config.pbtxt');
    const config = parseModelConfig(await readFile(configPath, 'utf8'), configPath);
    const output = name === 'ppocrv4-det' ? 'sigmoid_0.tmp_0' : 'softmax_11.tmp_0';
    const prepared = join(imported, name, '1/model.onnx');
    return compareModels({ original: plainFiles[name], prepared, config, output, inputs });
  };

  it('give the recogniser’s best classes and their probabilities as exactly as the runtime does', async (t) => {
    const short = lines.filter(({ width }) => width <= 448).map((line) => toProbe([line]));
    const pair = lines.filter(({ width }) => width > 64 && width <= 128).slice(0, 2);
    const found = await compare('ppocrv4-rec', [...short, toProbe(pair)]);
    t.diagnostic(`recogniser: ${JSON.stringify(found)}`);
    assert.ok(found.outputs > 1500, `${found.outputs} steps`);
    assert.ok(found.in999Of1000 <= 8 * found.noiseFloor.in999Of1000);
  });

  it('give the detector’s map of probabilities as exactly as the runtime does', async (t) => {
    const page = await smallPage();
    const found = await compare('ppocrv4-det', [
      { data: packPage(page), dims: [1, 3, page.height, page.width] },
    ]);
    t.diagnostic(`detector: ${JSON.stringify(found)}`);
    assert.equal(found.outputs, page.width * page.height);
    assert.ok(found.in999Of1000 < 1e-5);
  });

  it('are refused where a weight is another', async () => {
    const file = join(imported, 'ppocrv4-rec/1/model.onnx');
    const bytes = await readFile(file);
    const model = decodeModel(bytes);
    const [first] = model.graph.initializer.filter(({ dims }) => dims.length === 4);
    const raw = first?.raw_data ?? assert.fail();
    const weight = new DataView(raw.buffer, raw.byteOffset);
    weight.setFloat32(0, weight.getFloat32(0, true) * 1.01, true);
    await writeFile(file, encodeModel(model));
    const probe = toProbe(lines.filter(({ width }) => width <= 320).slice(0, 1));
    await assert.rejects(
      compare('ppocrv4-rec', [probe]),
      /outputs would differ by .* where the runtime's own/,
    );
    await writeFile(file, bytes);
  });

  it('show no probability where the input is not a number', async () => {
    const run = await session(imported, 'ppocrv4-rec');
    const { data } = await run(new Float32Array(3 * 48 * 64).fill(Number.NaN), [1, 3, 48, 64]);
    assert.deepEqual(
      [...data].filter((score) => score >= 0 && score <= 1),
      [],
    );
  });

  it('refuse a dictionary that does not fit the number of classes', async () => {
    const repository = await mkdtemp(join(tmpdir(), 'glyphmill-classes-'));
    await cp(join(imported, 'ppocrv4-rec'), join(repository, 'rec'), { recursive: true });
    const config = await readFile(join(imported, 'ppocrv4-rec/config.pbtxt'), 'utf8');
    await writeFile(
      join(repository, 'rec/config.pbtxt'),
      config.replace('"ppocrv4-rec"', '"rec"').replace('"6625"', '"6626"'),
    );
    await cp(join(imported, 'ppocrv4-det'), join(repository, 'ppocrv4-det'), { recursive: true });
    const opening = openModels({ repository, names: { recognize: 'rec' }, log: quietLog() });
    await assert.rejects(opening, { name: 'ModelConfigError', field: 'output.label_filename' });
    await rm(repository, { recursive: true });
  });
});

/** Lines of one rung. */
function toProbe(crops: readonly LineCrop[]): Probe {
  const width = ladderWidth(Math.max(...crops.map((crop) => crop.width)), defaultWidthLadder);
  return { data: packLines(crops, width), dims: [crops.length, 3, 48, width] };
}

/** A photographed receipt in 480 × 640 pixels. */
async function smallPage() {
  const size = { width: 480, height: 640 };
  const path = fileURLToPath(new URL('../fixtures/samples/receipt.jpg', import.meta.url));
  const data = await sharp(path)
    .resize({ ...size, fit: 'fill' })
    .toColourspace('srgb')
    .raw()
    .toBuffer();
  return { ...size, data };
}

/** To the tenth of a pixel: outputs are the same to 1e-5 only. */
function corners(region: Region) {
  return JSON.stringify(region, (_, value) =>
    typeof value === 'number' ? Math.round(value * 10) / 10 : value,
  );
}
