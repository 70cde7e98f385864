import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packLines } from '@glyphmill/core/recognition';
import type { LineCrop } from '@glyphmill/core/rectify';
import fc from 'fast-check';

const crop: LineCrop = { width: 2, height: 1, data: Uint8Array.of(255, 0, 51, 0, 255, 102) };

function close(actual: Float32Array, expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs((actual[i] ?? 0) - value) < 1e-6, `${i}: ${actual[i]}`);
}

test('planes are blue, green, red in −1..1, and the right side is padded with 0', () => {
  close(packLines([crop], 4), [-0.6, -0.2, 0, 0, -1, 1, 0, 0, 1, -1, 0, 0]);
});

test('the order of planes, mean and deviation can be set', () => {
  const normalization = { order: 'rgb', mean: 0, deviation: 255 } as const;
  close(packLines([crop], 2, { normalization }), [1, 0, 0, 1, 0.2, 0.4]);
});

test('rows beyond the crops are blank', () => {
  const tensor = packLines([crop], 2, { rows: 3 });
  assert.equal(tensor.length, 18);
  assert.ok(tensor.subarray(6).every((value) => value === 0));
});

test('a line is packed the same alone and among others', () => {
  const crops = fc.array(
    fc
      .integer({ min: 1, max: 8 })
      .chain((width) =>
        fc
          .uint8Array({ minLength: width * 12, maxLength: width * 12 })
          .map((data) => ({ width, height: 4, data })),
      ),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(crops, (lines) => {
      const together = packLines(lines, 8);
      for (const [i, line] of lines.entries()) {
        assert.deepEqual(together.slice(i * 96, (i + 1) * 96), packLines([line], 8));
      }
    }),
  );
});

test('crops that do not fit are refused', () => {
  assert.throws(() => packLines([crop], 1), /at most 1 wide, got 2/);
  assert.throws(
    () => packLines([crop, { width: 1, height: 2, data: new Uint8Array(6) }], 4),
    /height 1, got 2/,
  );
  assert.throws(() => packLines([crop, crop], 4, { rows: 1 }), /at most 1 crops, got 2/);
  assert.throws(() => packLines([{ width: 2, height: 1, data: new Uint8Array(5) }], 4), /expected 6 bytes/);
});
