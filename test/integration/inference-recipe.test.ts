import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { optionsSchema } from '@glyphmill/contract/request';
import { openEngine } from '@glyphmill/engine/engine';
import { importMissingModels } from '@glyphmill/inference/default-models';
import { openModels } from '@glyphmill/inference/models';
import { readRepository } from '@glyphmill/inference/repository';
import sharp from 'sharp';
import { writeRecipeModel } from './inference-recipe.ts';
import { quietLog } from './inference-samples.ts';

const parameter = (key: string, value: string) =>
  `parameters { key: "${key}" value { string_value: "${value}" } }`;

/** Bars on white from the left on, each with a gap as wide as itself behind it: a grey value for each. */
function bars({ width, height, bar }: { width: number; height: number; bar: number }, greys: number[]) {
  const rectangles = greys.map(
    (grey, i) =>
      `<rect x="${bar + 2 * bar * i}" width="${bar}" height="${height}" fill="rgb(${grey},${grey},${grey})"/>`,
  );
  const svg = `<svg width="${width}" height="${height}" shape-rendering="crispEdges">
    <rect width="${width}" height="${height}" fill="white"/>${rectangles.join('')}</svg>`;
  return sharp(Buffer.from(svg)).png().toBuffer();
}

describe('the model repository of the Triton recipe', () => {
  let repository = '';
  beforeEach(async () => {
    repository = await mkdtemp(join(tmpdir(), 'glyphmill-recipe-'));
  });
  afterEach(() => rm(repository, { recursive: true }));

  /** Reads images as lines the way a worker does, from their bytes on. */
  const read = async (images: readonly Buffer[], instances: { recognize?: number } = {}) => {
    const models = await openModels({ repository, provider: 'cpu', instances, log: quietLog() });
    const engine = openEngine({
      models,
      decoders: 1,
      decodeDeadlineMs: 20_000,
      maxPagePixels: 1e7,
      maxPages: 1,
    });
    try {
      const request = {
        mode: 'line',
        options: optionsSchema.parse({}),
        signal: new AbortController().signal,
      } as const;
      const documents = await Promise.all(images.map((image) => engine.scan(image, request)));
      const results = await Promise.all(documents.map((document) => document.result(null)));
      return { texts: results.map(({ text }) => text), states: models.states(), info: models.info() };
    } finally {
      engine.close();
      await models.close();
    }
  };

  it('is served as it stands: no role, no dictionary, lines resized to 256 × 64, repeats collapsed', async () => {
    await writeRecipeModel(repository, 'recipe');
    assert.deepEqual(await importMissingModels(repository), ['ppocrv4-det']);
    assert.deepEqual((await readdir(repository)).sort(), ['ppocrv4-det', 'recipe']);
    const config = (await readRepository(repository)).get('recipe') ?? assert.fail();
    assert.deepEqual(config.inferred, { role: true, labels: true });
    assert.equal(config.maxBatchSize, 8);
    assert.deepEqual(config.batching.preferredBatchSizes, [4, 8]);
    assert.equal(config.batching.maxQueueDelayUs, 1000);

    const wide = { width: 512, height: 64, bar: 40 };
    const square = { width: 64, height: 64, bar: 5 };
    const { texts, states, info } = await read([
      await bars(wide, [0, 0, 0]),
      await bars(square, [0, 0]),
      await bars({ width: 256, height: 64, bar: 32 }, [0, 70]),
      await bars(wide, []),
    ]);
    assert.deepEqual(texts, ['AAA', 'AA', 'AA', '']);
    assert.equal(states.filter(({ model }) => model === 'recipe').length, 2);
    assert.equal(info.find(({ role }) => role === 'recognize')?.labels, 6625);
  });

  it('is read as its parameters say: with a threshold, step by step, in its proportions', async () => {
    await importMissingModels(repository);
    const bold = { width: 256, height: 64, bar: 32 };
    const narrow = { width: 64, height: 64, bar: 6 };
    const images = [await bars(bold, [0, 70]), await bars(narrow, [0, 0, 0])];
    const readWith = async (...extra: string[]) => {
      await writeRecipeModel(repository, 'recipe', extra.join('\n'));
      return (await read(images, { recognize: 1 })).texts;
    };
    const threshold = parameter('character_threshold', '0.9');
    const steps = parameter('decoding', 'steps');

    assert.deepEqual(await readWith(threshold), ['A', 'AAA'], 'the grey bar is less sure');
    const [both = '', padded = ''] = await readWith(steps, parameter('resize', 'pad'));
    assert.match(both, /^A{10}$/, 'each bar covers five steps');
    assert.match(padded, /^A{1,3}$/, 'each bar covers one step at most');
    const [sure = '', stretched = ''] = await readWith(steps, threshold);
    assert.match(sure, /^A{5}$/);
    assert.match(stretched, /^A{9,12}$/, 'each bar covers three steps or four');
  });
});
