import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settleProbabilities } from '@glyphmill/inference/probabilities';

test('what rounding put just above 1 becomes 1, and all else stays', () => {
  const values = Float32Array.of(0, 0.25, 1, 1 + 2 ** -23);
  assert.equal(settleProbabilities(values), undefined);
  assert.deepEqual([...values], [0, 0.25, 1, 1]);
});

test('the first value that is no probability is named', () => {
  assert.equal(settleProbabilities(Float32Array.of(0.5, 1.5, -1)), 1.5);
  assert.equal(settleProbabilities(Float32Array.of(0.5, -0.5)), -0.5);
  assert.ok(Number.isNaN(settleProbabilities(Float32Array.of(0.5, Number.NaN))));
  assert.equal(settleProbabilities(Float32Array.of(Number.NEGATIVE_INFINITY)), Number.NEGATIVE_INFINITY);
});
