import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { argmaxSteps } from '@glyphmill/core/ctc';
import { packPage } from '@glyphmill/core/detection';
import { packLines } from '@glyphmill/core/recognition';
import type { LineCrop } from '@glyphmill/core/rectify';
import type { Region } from '@glyphmill/core/regions';
import { defaultWidthLadder, ladderWidth } from '@glyphmill/core/widths';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { type Models, openModels } from '@glyphmill/inference/models';
import { infer, openSession } from '@glyphmill/inference/session';
import sharp from 'sharp';
import { difference, openMessage } from '../unit/graph-setup.ts';
import { writePlainModels } from './graph-plain.ts';
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
const tolerance = 1e-5;
/**
 * Where two answers are nearly as likely, rounding moves a probability further: by up to 2e-4 on these lines and 2e-5
 * on this page, and as far with the unchanged files between two of the runtime's own levels of optimisation.
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

  it('read every line alike, nearly all with the same confidence', async () => {
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
    const same = moved.filter((distance) => distance < tolerance).length;
    assert.ok(same >= moved.length * 0.85, `${same} of ${moved.length} within ${tolerance}`);
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

  it('give the recogniser’s best classes and their probabilities', async () => {
    const [before, after] = [await session(plain, 'ppocrv4-rec'), await session(imported, 'ppocrv4-rec')];
    const random = Float32Array.from({ length: 2 * 3 * 48 * 128 }, (_, i) => Math.sin(i * 12.9898 + i * i));
    const rung = (line: LineCrop | undefined) => ladderWidth(line?.width ?? 0, defaultWidthLadder);
    const width = rung(lines[0]);
    const real = lines.slice(0, 20).filter((line) => rung(line) === width);
    const normalization = { order: 'bgr', mean: 127.5, deviation: 127.5 } as const;
    for (const [data, dims] of [
      [random, [2, 3, 48, 128]],
      [packLines(real, width, { rows: real.length, normalization }), [real.length, 3, 48, width]],
    ] as const) {
      const raw = await before(data, [...dims]);
      const pair = await after(data, [...dims]);
      const [n = 0, steps = 0, classes = 0] = raw.dims;
      assert.deepEqual(pair.dims, [n, steps]);
      const best = argmaxSteps(raw.data, n, steps, classes);
      const found = difference(best.scores, pair.data);
      assert.ok(found < tolerance, `differs by ${found}`);
      const unlike = best.indices.filter((index, i) => index !== pair.indices?.data[i]);
      assert.deepEqual([...unlike], []);
    }
  });

  it('give the detector’s map of probabilities', async () => {
    const [before, after] = [await session(plain, 'ppocrv4-det'), await session(imported, 'ppocrv4-det')];
    const page = await smallPage();
    const random = Float32Array.from(
      { length: page.data.length },
      (_, i) => 3 * Math.sin(i * 12.9898 + i * i),
    );
    const both = async (data: Float32Array) => {
      const dims = [1, 3, page.height, page.width];
      const [one, other] = [await before(data, dims), await after(data, dims)];
      assert.deepEqual(other.dims, one.dims);
      return { one: one.data, other: other.data };
    };
    const noise = await both(random);
    const found = difference(noise.one, noise.other);
    assert.ok(found < tolerance, `differs by ${found}`);
    const { one, other } = await both(packPage(page));
    const moved = one.map((value, i) => Math.abs(value - (other[i] ?? Number.NaN)));
    const most = moved.reduce((a, b) => Math.max(a, b));
    assert.ok(most < toleranceInDoubt, `differs by ${most}`);
    const apart = moved.filter((distance) => !(distance < tolerance)).length;
    assert.ok(apart < moved.length / 1000, `${apart} of ${moved.length} pixels differ`);
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
