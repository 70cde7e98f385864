/**
 * Four corners in pixels, clockwise from the text's own top left: [x1,y1, x2,y2, x3,y3, x4,y4].
 * The origin is the top left corner of the image; pixel (0, 0) covers the square from 0 to 1.
 */
export type Quad = readonly [number, number, number, number, number, number, number, number];

/** A rectangle turned by `angle` (radians, clockwise on screen, in (−π/4, π/4]); width runs along that direction. */
export interface Rectangle {
  centreX: number;
  centreY: number;
  width: number;
  height: number;
  angle: number;
}

/**
 * Convex hull of flat points [x, y, …] in any order, as flat points (Andrew's monotone chain).
 * Points on one line come back as the ends of that line.
 */
export function convexHull(points: ArrayLike<number>): Float64Array {
  const count = points.length >> 1;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  if (!isSorted(points))
    order.sort(
      (a, b) => at(points, 2 * a + 1) - at(points, 2 * b + 1) || at(points, 2 * a) - at(points, 2 * b),
    );
  const hull = new Float64Array(4 * (count + 1));
  let size = 0;
  for (let pass = 0; pass < 2; pass++) {
    const base = size;
    for (let i = 0; i < count; i++) {
      const index = order[pass === 0 ? i : count - 1 - i] ?? 0;
      const x = at(points, 2 * index);
      const y = at(points, 2 * index + 1);
      while (size - base >= 2 && turn(hull, size, x, y) <= 0) size--;
      hull[2 * size] = x;
      hull[2 * size + 1] = y;
      size++;
    }
    // The chain's last point is the first of the other chain.
    if (size > base + 1 || pass === 1) size--;
  }
  return hull.slice(0, 2 * Math.max(size, Math.min(count, 1)));
}

/** Rectangle of least area around a convex hull: one of its sides lies along a hull edge (Freeman and Shapira, 1975). */
export function minAreaRectangle(hull: ArrayLike<number>): Rectangle {
  let best = rectangleAt(hull, 0);
  const count = hull.length >> 1;
  for (let i = 0; i < count; i++) {
    const next = (i + 1) % count;
    const dx = at(hull, 2 * next) - at(hull, 2 * i);
    const dy = at(hull, 2 * next + 1) - at(hull, 2 * i + 1);
    if (dx === 0 && dy === 0) continue;
    const candidate = rectangleAt(hull, foldAngle(Math.atan2(dy, dx)));
    if (candidate.width * candidate.height < best.width * best.height - 1e-9) best = candidate;
  }
  return best;
}

/** Smallest rectangle with sides at `angle` that holds all points. */
export function rectangleAt(points: ArrayLike<number>, angle: number): Rectangle {
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  let minU = Number.POSITIVE_INFINITY;
  let maxU = Number.NEGATIVE_INFINITY;
  let minV = Number.POSITIVE_INFINITY;
  let maxV = Number.NEGATIVE_INFINITY;
  for (let i = 0; i + 1 < points.length; i += 2) {
    const x = at(points, i);
    const y = at(points, i + 1);
    const u = x * cos + y * sin;
    const v = y * cos - x * sin;
    if (u < minU) minU = u;
    if (u > maxU) maxU = u;
    if (v < minV) minV = v;
    if (v > maxV) maxV = v;
  }
  const u = (minU + maxU) / 2;
  const v = (minV + maxV) / 2;
  return {
    centreX: u * cos - v * sin,
    centreY: u * sin + v * cos,
    width: maxU - minU,
    height: maxV - minV,
    angle,
  };
}

/** The same rectangle with every side moved outwards by `distance`. */
export function growRectangle(rectangle: Rectangle, distance: number): Rectangle {
  return { ...rectangle, width: rectangle.width + 2 * distance, height: rectangle.height + 2 * distance };
}

export function rectangleQuad({ centreX, centreY, width, height, angle }: Rectangle): Quad {
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const ux = (cos * width) / 2;
  const uy = (sin * width) / 2;
  const vx = (-sin * height) / 2;
  const vy = (cos * height) / 2;
  return [
    centreX - ux - vx,
    centreY - uy - vy,
    centreX + ux - vx,
    centreY + uy - vy,
    centreX + ux + vx,
    centreY + uy + vy,
    centreX - ux + vx,
    centreY - uy + vy,
  ];
}

/** Lengths of the longer top or bottom edge and of the longer left or right edge, in pixels. */
export function quadSize([x1, y1, x2, y2, x3, y3, x4, y4]: Quad): { width: number; height: number } {
  return {
    width: Math.max(Math.hypot(x2 - x1, y2 - y1), Math.hypot(x3 - x4, y3 - y4)),
    height: Math.max(Math.hypot(x4 - x1, y4 - y1), Math.hypot(x3 - x2, y3 - y2)),
  };
}

export function quadBounds([x1, y1, x2, y2, x3, y3, x4, y4]: Quad): {
  left: number;
  top: number;
  right: number;
  bottom: number;
} {
  return {
    left: Math.min(x1, x2, x3, x4),
    top: Math.min(y1, y2, y3, y4),
    right: Math.max(x1, x2, x3, x4),
    bottom: Math.max(y1, y2, y3, y4),
  };
}

/** Scales a quad and moves corners that fall outside onto the border of the page. */
export function scaleQuad(
  quad: Quad,
  scaleX: number,
  scaleY: number,
  page: { width: number; height: number },
): Quad {
  const x = (value: number) => Math.min(Math.max(value * scaleX, 0), page.width);
  const y = (value: number) => Math.min(Math.max(value * scaleY, 0), page.height);
  const [x1, y1, x2, y2, x3, y3, x4, y4] = quad;
  return [x(x1), y(y1), x(x2), y(y2), x(x3), y(y3), x(x4), y(y4)];
}

/** Folds a direction into (−π/4, π/4]: the sides of a rectangle repeat every quarter turn. */
function foldAngle(angle: number): number {
  const quarter = Math.PI / 2;
  return angle - quarter * Math.ceil(angle / quarter - 0.5);
}

function isSorted(points: ArrayLike<number>): boolean {
  for (let i = 2; i + 1 < points.length; i += 2) {
    const dy = at(points, i + 1) - at(points, i - 1);
    if (dy < 0 || (dy === 0 && at(points, i) < at(points, i - 2))) return false;
  }
  return true;
}

/** Cross product of the hull's last edge and the way on to (x, y): positive where the chain turns the kept way. */
function turn(hull: Float64Array, size: number, x: number, y: number): number {
  const ax = at(hull, 2 * size - 4);
  const ay = at(hull, 2 * size - 3);
  const bx = at(hull, 2 * size - 2);
  const by = at(hull, 2 * size - 1);
  return (bx - ax) * (y - by) - (by - ay) * (x - bx);
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? 0;
}
