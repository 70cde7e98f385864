import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, it } from 'node:test';
import type { LineCrop } from '@glyphmill/core/rectify';
import { seededUniform } from '@glyphmill/core/simulate-random';
import { type Models, openModels } from '@glyphmill/inference/models';
import { newRepository, quietLog, sampleLines } from './inference-samples.ts';

/** Pages with many lines: printed and photographed, Latin and Chinese, dark on light and light on dark. */
const files = [
  'invoice.jpg',
  'statement.png',
  'zh-invoice.png',
  'ui-screenshot.png',
  'white-on-black.png',
  'article.jpg',
  'timetable.avif',
  'codes.png',
  'receipt.jpg',
  'menu.webp',
  'label-nutrition.jpg',
  'zh-receipt.jpg',
  'form.png',
];
const count = 500;
/** How often each line is read in company; see CONTRIBUTING.md for the full size. */
const rounds = Number(process.env.SAME_TEXT_ROUNDS ?? 2);
/** Lines under way at once, one after the other: few make small micro-batches, many make full ones. */
const loads = [96, 5, 24, 2];

let repository = '';
let models: Models;
let lines: LineCrop[] = [];

before(async () => {
  repository = await newRepository();
  models = await openModels({ repository, provider: 'cpu', instances: { recognize: 2 }, log: quietLog() });
  for (const file of files) lines.push(...(await sampleLines(models, file)));
  // The narrowest, which take the least time, and so that buckets hold enough to fill micro-batches.
  lines = lines.toSorted((a, b) => a.width - b.width).slice(0, count);
  assert.equal(lines.length, count);
});

after(async () => {
  await models?.close();
  await rm(repository, { recursive: true });
});

it(`${count} lines have the same text and confidence alone and in any micro-batch under load`, async (t) => {
  const alone: Awaited<ReturnType<Models['recognize']>>[] = [];
  for (const line of lines) alone.push(await models.recognize(line));
  assert.ok(alone.every(({ served }) => served.microBatch.size === 1));
  const sizes = new Map<number, number>();
  const random = seededUniform(3);
  let compared = 0;
  for (let round = 0; round < rounds; round++) {
    const order = shuffled(lines.keys(), random);
    const reader = async () => {
      for (let i = order.pop(); i !== undefined; i = order.pop()) {
        const { reading, served } = await models.recognize(lines[i] ?? assert.fail());
        assert.deepEqual(
          reading,
          alone[i]?.reading,
          `line ${i} in a micro-batch of ${served.microBatch.size}`,
        );
        sizes.set(served.microBatch.size, (sizes.get(served.microBatch.size) ?? 0) + 1);
        compared++;
      }
    };
    await Promise.all(Array.from({ length: loads[round % loads.length] ?? 1 }, reader));
  }
  const texts = new Set(alone.map(({ reading }) => reading.text)).size;
  t.diagnostic(
    `${compared} readings of ${texts} texts, by size of micro-batch: ${JSON.stringify([...sizes].sort())}`,
  );
  assert.equal(compared, rounds * count);
  assert.ok(texts > count / 2, 'most lines say something of their own');
  assert.ok((sizes.get(8) ?? 0) > 0 && sizes.size > 4, 'lines were in micro-batches of many sizes');
});

function shuffled(values: Iterable<number>, random: () => number): number[] {
  return [...values]
    .map((value) => ({ value, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ value }) => value);
}
