import type { Quad } from './geometry.ts';

/** A line's place with the page's skew taken out; `slope` is what remains where it stands, in y per x. */
export interface Box {
  /** Index of the line. */
  readonly index: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly middle: number;
  readonly height: number;
  readonly slope: number;
}

/** Lines at least so many times as wide as high tell the page's skew; shorter ones' angles are noise. */
const longLine = 6;
/** Two lines stand in one row when their middles differ by at most this share of the lower one's height. */
const rowTolerance = 0.5;
/** Cells of one row may overlap sideways by this share of the narrower one. */
const cellOverlap = 0.3;
/** Least long lines from which the change of slope down a page is told. */
const leastLongLines = 4;

/** Boxes of the lines, turned about the origin so that the page's typical line lies level. */
export function levelBoxes(quads: readonly Quad[]): Box[] {
  const angle = pageAngle(quads);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const boxes = quads.map((quad, index) => {
    const [x1, y1, x2, y2, x3, y3, x4, y4] = quad;
    const us = [x1 * cos + y1 * sin, x2 * cos + y2 * sin, x3 * cos + y3 * sin, x4 * cos + y4 * sin];
    const middle = ((y1 + y2 + y3 + y4) * cos - (x1 + x2 + x3 + x4) * sin) / 4;
    const height = Math.max(1, ((y3 + y4 - y1 - y2) * cos - (x3 + x4 - x1 - x2) * sin) / 2);
    const rise = ((y2 + y3 - y1 - y4) * cos - (x2 + x3 - x1 - x4) * sin) / 2;
    const left = Math.min(...us);
    const right = Math.max(...us);
    const slope = right > left ? rise / (right - left) : 0;
    return {
      index,
      left,
      right,
      top: middle - height / 2,
      bottom: middle + height / 2,
      middle,
      height,
      slope,
    };
  });
  const slopeAt = slopeModel(boxes);
  return boxes.map((box) => ({ ...box, slope: slopeAt(box.middle) }));
}

/** Seen at an angle, a page's lines fan out: the slope that long lines show, as a linear function of y. */
function slopeModel(boxes: readonly Box[]): (y: number) => number {
  const long = boxes.filter(({ left, right, height }) => right - left >= longLine * height);
  if (long.length < leastLongLines) return () => 0;
  let weight = 0;
  let sumY = 0;
  let sumSlope = 0;
  for (const { left, right, middle, slope } of long) {
    const w = (right - left) ** 2;
    weight += w;
    sumY += w * middle;
    sumSlope += w * slope;
  }
  const meanY = sumY / weight;
  const meanSlope = sumSlope / weight;
  let spread = 0;
  let shared = 0;
  for (const { left, right, middle, slope } of long) {
    const w = (right - left) ** 2;
    spread += w * (middle - meanY) ** 2;
    shared += w * (middle - meanY) * (slope - meanSlope);
  }
  const fan = spread > 0 ? shared / spread : 0;
  return (y) => meanSlope + fan * (y - meanY);
}

/** Boxes grouped into visual rows, rows from top to bottom, boxes from left to right. */
export function groupRows(boxes: readonly Box[]): Box[][] {
  const sorted = [...boxes].sort(
    (a, b) => a.left - b.left || a.middle - b.middle || a.right - b.right || a.index - b.index,
  );
  const rows: Box[][] = [];
  for (const box of sorted) {
    const row = nearestRow(rows, box);
    if (row) row.push(box);
    else rows.push([box]);
  }
  const level = (row: readonly Box[]) => row.reduce((sum, { middle }) => sum + middle, 0) / row.length;
  const first = (row: readonly Box[]) => row[0] ?? { left: 0, right: 0 };
  return rows.sort(
    (a, b) => level(a) - level(b) || first(a).left - first(b).left || first(a).right - first(b).right,
  );
}

/** The row whose last box leads on to this one with the least step up or down. */
function nearestRow(rows: readonly Box[][], box: Box): Box[] | undefined {
  let best: Box[] | undefined;
  let least = rowTolerance;
  for (const row of rows) {
    const last = row.at(-1);
    if (!last) continue;
    const overlap = last.right - box.left;
    if (overlap > cellOverlap * Math.min(last.right - last.left, box.right - box.left)) continue;
    const step = Math.abs(stepBetween(last, box)) / Math.min(last.height, box.height);
    if (step < least) {
      least = step;
      best = row;
    }
  }
  return best;
}

/** How far b's middle lies below the level that a leads to. */
export function stepBetween(a: Box, b: Box): number {
  const slope = (a.slope + b.slope) / 2;
  return b.middle - a.middle - slope * ((b.left + b.right - a.left - a.right) / 2);
}

/** Median angle of the long lines, each counted by its length; 0 for a page without any. */
function pageAngle(quads: readonly Quad[]): number {
  const angles: { angle: number; length: number }[] = [];
  for (const [x1, y1, x2, y2, x3, y3, x4, y4] of quads) {
    const dx = (x2 + x3 - x1 - x4) / 2;
    const dy = (y2 + y3 - y1 - y4) / 2;
    const length = Math.hypot(dx, dy);
    if (length >= longLine * Math.hypot(x4 - x1, y4 - y1)) angles.push({ angle: Math.atan2(dy, dx), length });
  }
  angles.sort((a, b) => a.angle - b.angle);
  const half = angles.reduce((sum, { length }) => sum + length, 0) / 2;
  let passed = 0;
  for (const { angle, length } of angles) {
    passed += length;
    if (passed >= half) return angle;
  }
  return 0;
}
