import type { Quad } from './geometry.ts';
import { type Box, groupRows, levelBoxes, stepBetween } from './rows.ts';

/** A column holds at least so many lines. */
const leastLines = 4;
/** Least width of the white between two columns, in line heights. */
const leastGutter = 0.6;
/** Prose: half of the lines are at least so wide, in line heights, and at least this share of the widest. */
const proseWidth = 7;
const proseFill = 0.7;
/** Columns of a table share their rows; below this share of lines with a partner in the other they do not. */
const partnerShare = 0.6;
const partnerTolerance = 0.25;
/** White from side to side, so many line heights high, ends a section. */
const leastBand = 1.5;
/** Columns within columns are looked for so many times. */
const maxDepth = 6;

/**
 * Lines in reading order, grouped by the visual row they stand in, each row from left to right. Columns of prose, and
 * side bars, are read one after the other; the cells of a table or a receipt stay in their rows. Pages turned by a few
 * degrees or seen at an angle are read along their own lines.
 */
export function orderLines<T extends { readonly quad: Quad }>(
  lines: readonly T[],
  _page: { readonly width: number; readonly height: number },
): T[][] {
  const rows = orderBoxes(levelBoxes(lines.map(({ quad }) => quad)), 0);
  return rows.map((row) => row.flatMap(({ index }) => lines[index] ?? []));
}

/** The page's text: cells of a row joined by a space, rows by a line feed, empty ones left out. */
export function pageText(rows: readonly (readonly { readonly text: string }[])[]): string {
  const texts = rows.map((row) => row.flatMap(({ text }) => (text === '' ? [] : [text])).join(' '));
  return texts.filter((text) => text !== '').join('\n');
}

function orderBoxes(boxes: readonly Box[], depth: number): Box[][] {
  if (depth < maxDepth) {
    for (const gutter of gutters(boxes)) {
      const sections = split(boxes, gutter);
      if (!sections.some(isColumnar)) continue;
      return sections.flatMap((section) =>
        isColumnar(section)
          ? [...orderBoxes(section.left, depth + 1), ...orderBoxes(section.right, depth + 1)]
          : groupRows([...section.left, ...section.right, ...section.across]),
      );
    }
  }
  return groupRows(boxes);
}

/** Part of a page between two lines that run across a gutter; such lines make sections of their own. */
interface Section {
  readonly left: Box[];
  readonly right: Box[];
  readonly across: Box[];
}

/** Middles of the upright white strips that few lines cross and that have lines on both sides, the clearest first. */
function gutters(boxes: readonly Box[]): number[] {
  if (boxes.length < 2 * leastLines) return [];
  const edges = [...new Set(boxes.flatMap(({ left, right }) => [left, right]))].sort((a, b) => a - b);
  const found: { middle: number; crossings: number; width: number }[] = [];
  for (const [i, from] of edges.entries()) {
    const to = edges[i + 1] ?? from;
    const middle = (from + to) / 2;
    let crossings = 0;
    let left = 0;
    for (const box of boxes) {
      if (box.right <= middle) left++;
      else if (box.left < middle) crossings++;
    }
    const right = boxes.length - left - crossings;
    if (to > from && crossings <= Math.min(left, right) / 2 && Math.min(left, right) >= leastLines) {
      found.push({ middle, crossings, width: to - from });
    }
  }
  return found
    .sort((a, b) => a.crossings - b.crossings || b.width - a.width)
    .slice(0, maxGutters)
    .map(({ middle }) => middle);
}

const maxGutters = 24;

/** Parts the boxes, from top to bottom, at the lines that cross the gutter; what shares such a line's row goes with it. */
function split(boxes: readonly Box[], gutter: number): Section[] {
  const isAcross = (box: Box) => box.left < gutter && box.right > gutter;
  const crossing = boxes.filter(isAcross);
  const inRow = (box: Box) => isAcross(box) || crossing.some((other) => inSameRow(box, other));
  const sections: Section[] = [];
  let current: Section | undefined;
  const band = leastBand * median(boxes.map(({ height }) => height));
  let bottom = Number.POSITIVE_INFINITY;
  for (const box of [...boxes].sort((a, b) => a.top - b.top || a.left - b.left)) {
    const across = inRow(box);
    const isBelowBand = box.top - bottom >= band;
    bottom = Math.max(box.bottom, current === undefined ? 0 : bottom);
    if (current === undefined || isBelowBand || across !== current.across.length > 0) {
      current = { left: [], right: [], across: [] };
      sections.push(current);
    }
    if (across) current.across.push(box);
    else if (box.right <= gutter) current.left.push(box);
    else current.right.push(box);
  }
  return sections;
}

function inSameRow(a: Box, b: Box): boolean {
  return Math.abs(stepBetween(a, b)) < 0.5 * Math.min(a.height, b.height);
}

function isColumnar({ left, right, across }: Section): boolean {
  if (across.length > 0 || left.length < leastLines || right.length < leastLines) return false;
  const height = median([...left, ...right].map((box) => box.height));
  const gutter = Math.min(...right.map((box) => box.left)) - Math.max(...left.map((box) => box.right));
  if (gutter < leastGutter * height) return false;
  return (isProse(left) && isProse(right)) || !shareRows(left, right);
}

/** Whether most lines are long and alike in length, be it in one column or in several. */
function isProse(boxes: readonly Box[]): boolean {
  const widths = boxes.map(({ left, right }) => right - left).sort((a, b) => a - b);
  const usual = widths[Math.floor(0.9 * (widths.length - 1))] ?? 0;
  const full = boxes.filter(
    ({ left, right, height }) => right - left >= Math.max(proseWidth * height, proseFill * usual),
  );
  return 2 * full.length >= boxes.length;
}

/** Whether most lines of the shorter side stand level with one of the other side. */
function shareRows(left: readonly Box[], right: readonly Box[]): boolean {
  const [fewer, more] = left.length <= right.length ? [left, right] : [right, left];
  const level = fewer.filter((box) =>
    more.some(
      (other) => Math.abs(stepBetween(box, other)) <= partnerTolerance * Math.min(box.height, other.height),
    ),
  );
  return level.length >= partnerShare * fewer.length;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
