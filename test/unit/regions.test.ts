import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectionSize, packPage } from '@glyphmill/core/detection';
import { quadBounds, quadSize } from '@glyphmill/core/geometry';
import { defaultRegionOptions, findRegions, scaleRegions } from '@glyphmill/core/regions';
import fc from 'fast-check';

const size = { width: 320, height: 160 };

function mapOf(value: (x: number, y: number) => number, { width, height } = size): Float32Array {
  return Float32Array.from({ length: width * height }, (_, i) => value(i % width, Math.floor(i / width)));
}

function bars(list: readonly (readonly [number, number, number, number])[]): Float32Array {
  return mapOf((x, y) => (list.some(([l, t, r, b]) => x >= l && x < r && y >= t && y < b) ? 0.9 : 0.05));
}

test('a bar of text becomes one region, grown by area × 1.5 ÷ perimeter', () => {
  const [region, ...others] = findRegions(bars([[40, 50, 140, 60]]), size);
  assert.ok(region);
  assert.equal(others.length, 0);
  const distance = (100 * 10 * 1.5) / (2 * (100 + 10));
  const bounds = quadBounds(region.quad);
  assert.ok(
    Math.abs(bounds.left - (40 - distance)) < 1e-6 && Math.abs(bounds.bottom - (60 + distance)) < 1e-6,
  );
  assert.ok(Math.abs(region.score - 0.9) < 1e-5);
});

test('a slanted bar gives a slanted rectangle of its own size', () => {
  const angle = 0.2;
  const map = mapOf((x, y) => {
    const u = (x + 0.5 - 160) * Math.cos(angle) + (y + 0.5 - 80) * Math.sin(angle);
    const v = (y + 0.5 - 80) * Math.cos(angle) - (x + 0.5 - 160) * Math.sin(angle);
    return Math.abs(u) <= 90 && Math.abs(v) <= 8 ? 1 : 0;
  });
  const [region] = findRegions(map, size, { unclipRatio: 0 });
  assert.ok(region);
  const [x1, y1, x2, y2] = region.quad;
  assert.ok(Math.abs(Math.atan2(y2 - y1, x2 - x1) - angle) < 0.02);
  const { width, height } = quadSize(region.quad);
  assert.ok(Math.abs(width - 180) < 3 && Math.abs(height - 16) < 3, `${width}×${height}`);
});

test('faint, thin and uncertain places are no regions', () => {
  assert.equal(
    findRegions(
      mapOf(() => 0.3),
      size,
    ).length,
    0,
  );
  assert.equal(findRegions(bars([[10, 10, 200, 12]]), size).length, 0);
  assert.equal(
    findRegions(
      mapOf((x, y) => (x > 9 && x < 99 && y > 9 && y < 30 ? 0.5 : 0)),
      size,
    ).length,
    0,
  );
  assert.equal(
    findRegions(
      mapOf(() => Number.NaN),
      size,
    ).length,
    0,
  );
});

test('parts that touch at a corner are one region, parts with a cell between them are two', () => {
  assert.equal(
    findRegions(
      bars([
        [10, 10, 60, 20],
        [60, 20, 110, 30],
      ]),
      size,
      { boxThreshold: 0 },
    ).length,
    1,
  );
  assert.equal(
    findRegions(
      bars([
        [10, 10, 60, 20],
        [61, 10, 110, 20],
      ]),
      size,
      { unclipRatio: 0 },
    ).length,
    2,
  );
});

test('hostile maps give a bounded number of regions', () => {
  const large = { width: 704, height: 960 };
  const maps = [
    mapOf(() => 1, large),
    mapOf((x, y) => (x + y) & 1, large),
    mapOf((x, y) => (x % 5 < 3 && y % 5 < 3 ? 1 : 0), large),
    mapOf((x) => (x % 5 < 3 ? 1 : 0), large),
    mapOf((x, y) => (Math.min(x, y) % 6 < 4 ? 1 : 0), large),
  ];
  for (const map of maps) {
    const regions = findRegions(map, large);
    assert.ok(regions.length <= defaultRegionOptions.maxCandidates);
  }
});

test('a map of another size is refused', () => {
  assert.throws(() => findRegions(new Float32Array(10), size), /expected a map of 320×160/);
});

test('regions on the page lie on the page, and empty ones are gone', () => {
  const regions = findRegions(
    bars([
      [0, 0, 100, 12],
      [200, 140, 320, 160],
    ]),
    size,
  );
  const page = { width: 640, height: 480 };
  const scaled = scaleRegions(regions, 2, 3, page);
  assert.equal(scaled.length, 2);
  for (const { quad } of scaled) {
    const { left, top, right, bottom } = quadBounds(quad);
    assert.ok(left >= 0 && top >= 0 && right <= 640 && bottom <= 480);
  }
  assert.equal(scaleRegions([{ quad: [-9, -9, -5, -9, -5, -5, -9, -5], score: 1 }], 1, 1, page).length, 0);
});

test('the detector’s size keeps to the limit and to multiples of 32', () => {
  assert.deepEqual(detectionSize(2480, 3508), { width: 672, height: 960 });
  assert.deepEqual(detectionSize(640, 320), { width: 640, height: 320 });
  const side = fc.integer({ min: 1, max: 20_000 });
  fc.assert(
    fc.property(side, side, fc.integer({ min: 32, max: 4000 }), (width, height, limit) => {
      const size = detectionSize(width, height, limit);
      for (const value of [size.width, size.height])
        assert.ok(value >= 32 && value <= limit && value % 32 === 0);
      assert.ok(size.width < width + 32 && size.height < height + 32);
    }),
  );
});

test('the detector’s input holds blue, green and red planes in ImageNet units', () => {
  const tensor = packPage({ width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) });
  const expected = [
    -0.485 / 0.229,
    (1 - 0.485) / 0.229,
    -0.456 / 0.224,
    -0.456 / 0.224,
    (1 - 0.406) / 0.225,
    -0.406 / 0.225,
  ];
  assert.equal(tensor.length, 6);
  for (const [i, value] of expected.entries()) assert.ok(Math.abs((tensor[i] ?? 0) - value) < 1e-5);
});

test('a page on a larger sheet lies at its top left, and its last column and row go on to the edges', () => {
  const page = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) };
  const [near = 0, far = 0] = packPage(page).subarray(0, 2);
  const plane = packPage(page, { width: 4, height: 3 }).subarray(0, 12);
  const row = [near, far, far, far];
  assert.deepEqual([...plane], [...row, ...row, ...row]);
  assert.throws(() => packPage(page, { width: 1, height: 1 }), RangeError);
});

test('parts of a line that overlap once grown are one region, cells and lines apart stay apart', () => {
  const whole = findRegions(
    bars([
      [40, 50, 60, 62],
      [64, 50, 200, 62],
    ]),
    size,
  );
  assert.equal(whole.length, 1);
  assert.ok(Math.abs(quadBounds(whole[0]?.quad ?? [0, 0, 0, 0, 0, 0, 0, 0]).right - 208) < 1);
  assert.equal(
    findRegions(
      bars([
        [20, 50, 100, 62],
        [130, 50, 200, 62],
      ]),
      size,
    ).length,
    2,
  );
  assert.equal(
    findRegions(
      bars([
        [20, 50, 200, 62],
        [20, 68, 200, 80],
      ]),
      size,
    ).length,
    2,
  );
});
