import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLadder, defaultWidthLadder, ladderWidth } from '@glyphmill/core/widths';
import fc from 'fast-check';

const last = defaultWidthLadder.at(-1) ?? 0;

test('a width goes up to the nearest rung that holds it, and never down', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: last }), (width) => {
      const rung = ladderWidth(width, defaultWidthLadder);
      assert.ok(rung >= width && defaultWidthLadder.includes(rung));
      assert.ok(!defaultWidthLadder.some((other) => other >= width && other < rung));
    }),
  );
});

test('a wider line never gets a narrower rung', () => {
  const width = fc.integer({ min: 1, max: 4000 });
  fc.assert(
    fc.property(width, width, (a, b) => {
      const [narrow, wide] = [Math.min(a, b), Math.max(a, b)];
      assert.ok(ladderWidth(narrow, defaultWidthLadder) <= ladderWidth(wide, defaultWidthLadder));
    }),
  );
});

test('a line wider than the ladder gets the last rung', () => {
  assert.equal(ladderWidth(last + 1, defaultWidthLadder), last);
});

test('the default ladder rises in multiples of 64', () => {
  assertLadder(defaultWidthLadder);
  assert.ok(defaultWidthLadder.every((rung) => rung % 64 === 0));
  assert.ok(defaultWidthLadder.length <= 17);
});

test('a ladder that is empty or does not rise is refused', () => {
  assert.throws(() => ladderWidth(10, []), RangeError);
  assert.throws(() => assertLadder([]), RangeError);
  assert.throws(() => assertLadder([64, 64]), RangeError);
  assert.throws(() => assertLadder([0, 64]), RangeError);
});
