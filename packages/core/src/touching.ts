import { type Rectangle, rectangleAt, rectangleQuad } from './geometry.ts';

/** A grown rectangle and its score. */
export interface Scored {
  readonly rectangle: Rectangle;
  readonly score: number;
}

/** Parts of a line stand level within this share of the wider part's height, and are at most so much higher. */
const levelShare = 0.3;
const heightShare = 1.3;
/** They overlap along the line by at least this share of its height. */
const overlapShare = 0.05;
/** Joining can make parts touch that did not touch before. */
const passes = 2;

/**
 * Joins parts of one line that overlap after growing: the detector breaks lines at wide marks, and a character that
 * stands in two parts would be read twice. Cells of a table do not overlap, so they stay apart.
 */
export function joinTouching(parts: readonly Scored[]): Scored[] {
  let joined = [...parts];
  for (let pass = 0; pass < passes; pass++) {
    const kept: Scored[] = [];
    for (const part of joined.toSorted((a, b) => b.rectangle.width - a.rectangle.width)) {
      const at = kept.findIndex(({ rectangle }) => areTouching(rectangle, part.rectangle));
      const wider = kept[at];
      if (wider) kept[at] = join(wider, part);
      else kept.push(part);
    }
    if (kept.length === joined.length) break;
    joined = kept;
  }
  return joined;
}

function areTouching(wider: Rectangle, other: Rectangle): boolean {
  const cos = Math.cos(wider.angle);
  const sin = Math.sin(wider.angle);
  const dx = other.centreX - wider.centreX;
  const dy = other.centreY - wider.centreY;
  if (wider.width < wider.height || other.height > heightShare * wider.height) return false;
  if (Math.abs(dy * cos - dx * sin) > levelShare * wider.height) return false;
  const gap = Math.abs(dx * cos + dy * sin) - (wider.width + other.width) / 2;
  return gap <= -overlapShare * wider.height;
}

function join(wider: Scored, other: Scored): Scored {
  const points = [...rectangleQuad(wider.rectangle), ...rectangleQuad(other.rectangle)];
  const along = rectangleAt(points, wider.rectangle.angle);
  const [areaA, areaB] = [area(wider.rectangle), area(other.rectangle)];
  return { rectangle: along, score: (wider.score * areaA + other.score * areaB) / (areaA + areaB) };
}

function area({ width, height }: Rectangle): number {
  return width * height;
}
