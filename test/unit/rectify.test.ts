import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Quad } from '@glyphmill/core/geometry';
import type { RgbImage } from '@glyphmill/core/image';
import { rectifyLine, resizeLine } from '@glyphmill/core/rectify';
import fc from 'fast-check';

function pageOf(
  width: number,
  height: number,
  value: (x: number, y: number, channel: number) => number,
): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++)
    data[i] = value(Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3);
  return { width, height, data };
}

function pixel(image: RgbImage, x: number, y: number, channel = 0): number {
  return image.data[(y * image.width + x) * 3 + channel] ?? -1;
}

const noise = pageOf(200, 100, (x, y, channel) => (x * 7919 + y * 104_729 + channel * 31) % 251);

test('an upright quad at the crop’s own size is a plain crop', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 52 }),
      fc.integer({ min: 40, max: 100 }),
      (left, top, width) => {
        const quad: Quad = [left, top, left + width, top, left + width, top + 48, left, top + 48];
        const crop = rectifyLine(noise, quad, { height: 48, minWidth: 1, maxWidth: 500 });
        assert.equal(crop.width, width);
        for (const [x, y] of [
          [0, 0],
          [width - 1, 0],
          [width - 1, 47],
          [0, 47],
          [width >> 1, 24],
        ] as const) {
          for (let channel = 0; channel < 3; channel++) {
            assert.equal(pixel(crop, x, y, channel), pixel(noise, left + x, top + y, channel));
          }
        }
      },
    ),
  );
});

test('a line that runs down the page is turned against the clock', () => {
  const page = pageOf(60, 200, (_x, y) => y);
  const crop = rectifyLine(page, [10, 20, 34, 20, 34, 140, 10, 140], {
    height: 24,
    minWidth: 1,
    maxWidth: 500,
  });
  assert.deepEqual([crop.width, crop.height], [120, 24]);
  assert.equal(pixel(crop, 0, 12), 20);
  assert.equal(pixel(crop, 119, 12), 139);
});

test('a line in its own mode is never turned', () => {
  const crop = resizeLine(
    pageOf(20, 60, () => 9),
    { height: 48, minWidth: 1, maxWidth: 500 },
  );
  assert.deepEqual([crop.width, crop.height], [16, 48]);
});

test('a slanted quad comes out level', () => {
  const angle = 0.1;
  const page = pageOf(300, 120, (x, y) => {
    const v = (y + 0.5 - 20) * Math.cos(angle) - (x + 0.5 - 20) * Math.sin(angle);
    return v > 24 ? 250 : 10;
  });
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const at = (u: number, v: number) => [20 + u * cos - v * sin, 20 + u * sin + v * cos] as const;
  const quad: Quad = [...at(0, 0), ...at(200, 0), ...at(200, 48), ...at(0, 48)];
  const crop = rectifyLine(page, quad, { height: 48, minWidth: 1, maxWidth: 500 });
  assert.equal(crop.width, 200);
  for (let x = 5; x < 195; x += 10) {
    assert.ok(pixel(crop, x, 20) < 30 && pixel(crop, x, 28) > 230);
  }
});

test('shrinking averages: fine stripes become grey instead of moiré', () => {
  const page = pageOf(800, 384, (x) => (x % 2 === 0 ? 0 : 200));
  const crop = rectifyLine(page, [0, 0, 800, 0, 800, 384, 0, 384], {
    height: 48,
    minWidth: 1,
    maxWidth: 500,
  });
  for (let x = 1; x < crop.width - 1; x++)
    assert.ok(Math.abs(pixel(crop, x, 24) - 100) <= 26, `${pixel(crop, x, 24)}`);
});

test('lines wider than the limit are squeezed into it', () => {
  assert.equal(
    rectifyLine(noise, [0, 0, 200, 0, 200, 4, 0, 4], { height: 48, minWidth: 1, maxWidth: 320 }).width,
    320,
  );
});

test('any quad, on the page or off it, gives a crop whose values come from the page', () => {
  const coordinate = fc.double({ min: -400, max: 400, noNaN: true });
  const grey = pageOf(50, 40, () => 77);
  fc.assert(
    fc.property(fc.tuple(coordinate, coordinate, coordinate, coordinate), ([x, y, dx, dy]) => {
      fc.pre(Math.hypot(dx, dy) > 1);
      const quad: Quad = [x, y, x + dx, y + dy, x + dx - dy / 3, y + dy + dx / 3, x - dy / 3, y + dx / 3];
      const crop = rectifyLine(grey, quad, { height: 16, minWidth: 1, maxWidth: 64 });
      assert.ok(crop.data.every((value) => value === 77));
    }),
    { numRuns: 50 },
  );
});

test('a quad without an area is refused', () => {
  assert.throws(
    () => rectifyLine(noise, [5, 5, 5, 5, 5, 5, 5, 5], { height: 48, minWidth: 1, maxWidth: 320 }),
    /with an area/,
  );
});
