import { type Components, connectedComponents } from './components.ts';
import {
  convexHull,
  growRectangle,
  minAreaRectangle,
  type Quad,
  type Rectangle,
  rectangleQuad,
  scaleQuad,
} from './geometry.ts';
import { joinTouching, type Scored } from './touching.ts';

/** A place on a page that holds a line of text. `score` is the detector's mean probability there, 0..1. */
export interface Region {
  readonly quad: Quad;
  readonly score: number;
}

export interface RegionOptions {
  /** Cells above this probability are text. */
  readonly threshold: number;
  /** Regions with a lower mean probability are dropped. */
  readonly boxThreshold: number;
  /** How far regions grow: the detector is trained to mark text shrunk by area ÷ perimeter. */
  readonly unclipRatio: number;
  /** Regions with a shorter side (detector pixels, before growing) are dropped. */
  readonly minSide: number;
  /** At most so many regions are looked at, the largest first. */
  readonly maxCandidates: number;
}

/** The published settings of the PP-OCR detectors, and a bound on the work that a hostile page can cause. */
export const defaultRegionOptions: RegionOptions = {
  threshold: 0.3,
  boxThreshold: 0.6,
  unclipRatio: 1.5,
  minSide: 3,
  maxCandidates: 1000,
};

/** Cells read at most to score one region; larger regions are scored on every n-th row and column. */
const maxScoredCells = 16_384;

/**
 * Text regions of a probability map [height, width], as in Differentiable Binarization (Liao et al., 2020), in the
 * map's own pixels, from top to bottom by their middles. Regions may reach beyond the map's border.
 * Throws RangeError for a map of another size.
 */
export function findRegions(
  probability: Float32Array,
  size: { width: number; height: number },
  options: Partial<RegionOptions> = {},
): Region[] {
  if (probability.length !== size.width * size.height) {
    throw new RangeError(`expected a map of ${size.width}×${size.height}, got ${probability.length} cells`);
  }
  const settings = { ...defaultRegionOptions, ...options };
  const components = connectedComponents(probability, size, settings.threshold);
  const parts: Scored[] = [];
  for (const hullPoints of outlines(components, candidates(components, settings))) {
    const rectangle = minAreaRectangle(convexHull(hullPoints));
    if (Math.min(rectangle.width, rectangle.height) < settings.minSide) continue;
    const score = meanInside(probability, size, rectangle);
    if (!(score >= settings.boxThreshold)) continue;
    parts.push({ rectangle: unclip(rectangle, settings.unclipRatio), score });
  }
  const joined = joinTouching(parts);
  joined.sort(
    (a, b) => a.rectangle.centreY - b.rectangle.centreY || a.rectangle.centreX - b.rectangle.centreX,
  );
  return joined.map(({ rectangle, score }) => ({ quad: rectangleQuad(rectangle), score }));
}

/** Regions in page pixels, corners moved onto the page; those that shrink to less than a pixel there are dropped. */
export function scaleRegions(
  regions: readonly Region[],
  scaleX: number,
  scaleY: number,
  page: { width: number; height: number },
): Region[] {
  const scaled = regions.map(({ quad, score }) => ({ quad: scaleQuad(quad, scaleX, scaleY, page), score }));
  return scaled.filter(({ quad }) => quadArea(quad) >= 1);
}

function quadArea([x1, y1, x2, y2, x3, y3, x4, y4]: Quad): number {
  return Math.abs((x3 - x1) * (y4 - y2) - (x4 - x2) * (y3 - y1)) / 2;
}

/** Numbers of the components worth measuring, in order of their first cell. */
function candidates(
  { count, cells, left, right, top, bottom }: Components,
  settings: RegionOptions,
): number[] {
  const large: number[] = [];
  for (let i = 0; i < count; i++) {
    const width = (right[i] ?? 0) - (left[i] ?? 0) + 1;
    const height = (bottom[i] ?? 0) - (top[i] ?? 0) + 1;
    if (width >= settings.minSide && height >= settings.minSide) large.push(i);
  }
  if (large.length <= settings.maxCandidates) return large;
  large.sort((a, b) => (cells[b] ?? 0) - (cells[a] ?? 0) || a - b);
  return large.slice(0, settings.maxCandidates).sort((a, b) => a - b);
}

/** For each component the ends of its rows, as flat points in order of y: all that its convex hull depends on. */
function outlines({ runs, top, bottom, count }: Components, chosen: readonly number[]): Float64Array[] {
  const points: Float64Array[] = [];
  const byComponent = new Int32Array(count).fill(-1);
  for (const [i, component] of chosen.entries()) {
    byComponent[component] = i;
    const rows = (bottom[component] ?? 0) - (top[component] ?? 0) + 1;
    const ends = new Float64Array(4 * (rows + 1));
    for (let j = 0; j < ends.length; j += 4) {
      ends[j] = Number.POSITIVE_INFINITY;
      ends[j + 2] = Number.NEGATIVE_INFINITY;
    }
    points.push(ends);
  }
  for (let i = 0; i < runs.count; i++) {
    const component = runs.owner[i] ?? 0;
    const ends = points[byComponent[component] ?? -1];
    if (ends === undefined) continue;
    const y = runs.row[i] ?? 0;
    // A cell covers a square: its row's ends stand at the height of its upper and of its lower border.
    for (let corner = 0; corner < 2; corner++) {
      const j = 4 * (y + corner - (top[component] ?? 0));
      ends[j] = Math.min(ends[j] ?? 0, runs.start[i] ?? 0);
      ends[j + 1] = y + corner;
      ends[j + 2] = Math.max(ends[j + 2] ?? 0, runs.end[i] ?? 0);
      ends[j + 3] = y + corner;
    }
  }
  return points;
}

/** Grows the rectangle by area × ratio ÷ perimeter: for a rectangle the same as the paper's polygon offset. */
function unclip(rectangle: Rectangle, ratio: number): Rectangle {
  const { width, height } = rectangle;
  return growRectangle(rectangle, (width * height * ratio) / (2 * (width + height)));
}

/** Mean probability of the cells whose centres lie inside the rectangle. */
function meanInside(
  map: Float32Array,
  { width, height }: { width: number; height: number },
  rectangle: Rectangle,
): number {
  const { centreX, centreY, angle } = rectangle;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const halfU = rectangle.width / 2;
  const halfV = rectangle.height / 2;
  const reachX = Math.abs(cos) * halfU + Math.abs(sin) * halfV;
  const reachY = Math.abs(sin) * halfU + Math.abs(cos) * halfV;
  const top = Math.max(0, Math.ceil(centreY - reachY - 0.5));
  const bottom = Math.min(height - 1, Math.floor(centreY + reachY - 0.5));
  const stride = Math.max(1, Math.ceil(Math.sqrt((rectangle.width * rectangle.height) / maxScoredCells)));
  let sum = 0;
  let count = 0;
  for (let y = top; y <= bottom; y += stride) {
    const dy = y + 0.5 - centreY;
    // |dx·cos + dy·sin| ≤ halfU and |dy·cos − dx·sin| ≤ halfV, solved for dx.
    const across = cos > 1e-9 ? halfU / cos : reachX;
    let from = -across - (dy * sin) / cos;
    let to = across - (dy * sin) / cos;
    if (Math.abs(sin) > 1e-9) {
      const middle = (dy * cos) / sin;
      const along = halfV / Math.abs(sin);
      from = Math.max(from, middle - along);
      to = Math.min(to, middle + along);
    }
    const left = Math.max(0, Math.ceil(centreX + from - 0.5));
    const right = Math.min(width - 1, Math.floor(centreX + to - 0.5));
    for (let x = left; x <= right; x += stride) {
      sum += map[y * width + x] ?? 0;
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
}
