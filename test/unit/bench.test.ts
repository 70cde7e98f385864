import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LineCrop } from '@glyphmill/core/rectify';
import { renderTable } from '../bench/bench-report.ts';
import { describeWidths, mixLines } from '../bench/line-mix.ts';
import type { SampleDocument } from '../bench/sample-lines.ts';
import { accuracyOf } from '../bench/sample-text.ts';
import { leastSquares, median, medianRatio, quantile } from '../bench/statistics.ts';
import { takeTurns } from '../bench/take-turns.ts';

test('the middle of the rounds counts, and a ratio is taken within each round', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2);
  // One round was slow for both; the ratio of the medians would be 1.6.
  assert.equal(medianRatio([10, 1, 8], [5, 0.5, 8]), 2);
});

test('the slope of points on a line is found exactly, and noise shows in its error', () => {
  const exact = leastSquares([0, 1, 2, 3].map((x) => ({ x, y: 7 - 2 * x })));
  assert.ok(Math.abs(exact.slope + 2) < 1e-9 && exact.standardError < 1e-9);
  // y = x with residuals ±1: slope 0.6, error by hand √(3.2 ÷ 2 ÷ 5).
  const noisy = leastSquares([1, 0, 3, 2].map((y, x) => ({ x, y })));
  assert.ok(Math.abs(noisy.slope - 0.6) < 1e-9);
  assert.ok(Math.abs(noisy.standardError - Math.sqrt(3.2 / 2 / 5)) < 1e-9);
});

function lineOf(width: number): LineCrop {
  return { width, height: 48, data: new Uint8Array(0) };
}

test('a mix has the widths of receipts, up to 1,080 pixels, in the order of the pages', () => {
  const lines = Array.from({ length: 6000 }, (_, i) => lineOf(30 + ((i * 701) % 1500)));
  const mix = mixLines(lines, 400);
  const { percentile10, percentile50, percentile90, widest, distinct } = describeWidths(mix);
  assert.equal(mix.length, 400);
  for (const [found, wanted] of [
    [percentile10, 66],
    [percentile50, 183],
    [percentile90, 484],
    [widest, 1080],
  ] as const)
    assert.ok(Math.abs(found / wanted - 1) < 0.05, `expected about ${wanted}, got ${found}`);
  assert.ok(distinct > 350, `only ${distinct} lines are different ones`);
  const places = mix.map((line) => lines.indexOf(line));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  assert.throws(() => mixLines([lineOf(2000)], 8), /expected lines of at most 1080 pixels/);
});

test('loads take turns, every other round backwards, and all are closed when one fails', async () => {
  const calls: string[] = [];
  const load = (name: string, result: () => number) => async () => ({
    run: async () => {
      calls.push(name);
      return result();
    },
    close: async () => void calls.push(`${name} closed`),
  });
  let n = 0;
  const found = await takeTurns([load('a', () => ++n), load('b', () => ++n)], { rounds: 2 });
  assert.deepEqual(calls, ['a', 'b', 'b', 'a', 'a closed', 'b closed']);
  assert.deepEqual(found, [
    [1, 4],
    [2, 3],
  ]);
  calls.length = 0;
  const broken = async () => Promise.reject(new Error('does not open'));
  await assert.rejects(takeTurns([load('a', () => 1), broken], { rounds: 1 }), /does not open/);
  assert.deepEqual(calls, ['a closed']);
});

test('the table says of each target whether it was met, missed, or cannot be told', () => {
  const target = { text: '≥ 2 ×' };
  const table = renderTable([
    {
      letter: 'f',
      name: 'widths',
      figures: {},
      rows: [
        { what: 'first', figure: '2.50 ×', target: { ...target, met: true } },
        { what: 'second', figure: '1.5 ×', target: { ...target, met: false } },
        { what: 'third', figure: '1 ×', target },
        { what: 'last', figure: '7' },
      ],
    },
  ]);
  assert.equal(
    table,
    `| what       | figure | target                         |
|------------|--------|--------------------------------|
| (f) first  | 2.50 × | ≥ 2 ×: met                     |
| (f) second | 1.5 ×  | ≥ 2 ×: missed                  |
| (f) third  | 1 ×    | ≥ 2 ×: too short a run to tell |
| (f) last   | 7      | –                              |
`,
  );
});

/** A document of one line on one page, and what it says. */
function documentOf(script: 'latin' | 'chinese', truth: string): SampleDocument {
  const page = { number: 1, width: 100, height: 40, rotation: 0 };
  const lines = [{ quad: [0, 0, 90, 0, 90, 20, 0, 20] as const, crop: lineOf(216) }];
  const file = `${script}.png`;
  return {
    sample: { file, mode: 'document', script, tags: [], cellsAreLines: false, pages: [{ lines: [truth] }] },
    pages: [{ page, lines, timings: { decodeMs: 0, detectMs: 0 }, release() {} }],
  };
}

test('of the text every character counts the same, and a line without a reading is refused', () => {
  const documents = [documentOf('latin', 'ten letters and more to read'), documentOf('chinese', '歡迎')];
  const reading = (text: string) => ({ text, confidence: 1, characters: [] });
  const { all, latin, chinese } = accuracyOf(documents, [
    reading('ten letters and more to read'),
    reading('迎'),
  ]);
  assert.equal(all.characters, 30);
  assert.equal(all.characterErrorRate, 1 / 30);
  assert.equal(all.meanOfDocuments, 0.25);
  assert.equal(latin.characterErrorRate, 0);
  assert.equal(chinese.characterErrorRate, 0.5);
  assert.throws(() => accuracyOf(documents, [reading('one')]), /expected 2 readings, got 1/);
});
