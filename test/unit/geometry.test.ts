import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  convexHull,
  growRectangle,
  minAreaRectangle,
  quadBounds,
  quadSize,
  rectangleQuad,
  scaleQuad,
} from '@glyphmill/core/geometry';
import fc from 'fast-check';

const rectangles = fc.record({
  centreX: fc.double({ min: -500, max: 500, noNaN: true }),
  centreY: fc.double({ min: -500, max: 500, noNaN: true }),
  width: fc.double({ min: 20, max: 400, noNaN: true }),
  height: fc.double({ min: 2, max: 18, noNaN: true }),
  angle: fc.double({ min: -0.78, max: 0.78, noNaN: true }),
});

test('the least rectangle around a rectangle’s corners is that rectangle', () => {
  fc.assert(
    fc.property(rectangles, (rectangle) => {
      const found = minAreaRectangle(convexHull(rectangleQuad(rectangle)));
      for (const key of ['centreX', 'centreY', 'width', 'height', 'angle'] as const) {
        assert.ok(
          Math.abs(found[key] - rectangle[key]) < 1e-6,
          `${key}: ${found[key]} for ${rectangle[key]}`,
        );
      }
    }),
  );
});

test('the hull holds every point and the rectangle holds the hull', () => {
  const points = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 80 });
  fc.assert(
    fc.property(points, (flat) => {
      const hull = convexHull(flat.slice(0, flat.length & ~1));
      const rectangle = growRectangle(minAreaRectangle(hull), 1e-6);
      const cos = Math.cos(rectangle.angle);
      const sin = Math.sin(rectangle.angle);
      for (let i = 0; i + 1 < flat.length; i += 2) {
        const dx = (flat[i] ?? 0) - rectangle.centreX;
        const dy = (flat[i + 1] ?? 0) - rectangle.centreY;
        assert.ok(Math.abs(dx * cos + dy * sin) <= rectangle.width / 2);
        assert.ok(Math.abs(dy * cos - dx * sin) <= rectangle.height / 2);
      }
    }),
  );
});

test('inner points and points on an edge do not change the hull', () => {
  const square = [0, 0, 4, 0, 4, 4, 0, 4];
  assert.equal(convexHull([...square, 2, 2, 2, 0, 1, 3]).length, 8);
});

test('a quad starts at the top left and goes clockwise', () => {
  const quad = rectangleQuad({ centreX: 10, centreY: 5, width: 20, height: 10, angle: 0 });
  assert.deepEqual([...quad], [0, 0, 20, 0, 20, 10, 0, 10]);
  assert.deepEqual(quadSize(quad), { width: 20, height: 10 });
  assert.deepEqual(quadBounds(quad), { left: 0, top: 0, right: 20, bottom: 10 });
});

test('scaling moves corners outside the page onto its border', () => {
  const page = { width: 30, height: 12 };
  assert.deepEqual([...scaleQuad([-2, -2, 20, 0, 20, 10, 0, 10], 2, 1, page)], [0, 0, 30, 0, 30, 10, 0, 10]);
});
