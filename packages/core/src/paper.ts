import type { LineCrop } from './rectify.ts';

/** A stretch of columns through which only paper shows, in crop pixels; `end` is exclusive. */
export interface PaperGap {
  readonly start: number;
  readonly end: number;
}

/** Columns whose darkest pixel has less than this share of the line's usual ink count as paper. */
const inkShare = 0.35;
/** Columns at this rank of darkness give the line's usual ink. */
const inkRank = 0.85;
/** Share of pixels that are lighter than the paper where most of a block is paper. */
const paperRank = 0.7;
/** Width over which the paper's brightness may change, in pixels. */
const blockWidth = 48;
/** A row with ink in more than this share of the columns is a rule or an underline, not writing. */
const ruleShare = 0.9;

/** Where paper shows between the line's first and last ink, whether the writing is dark or light, evenly lit or not. */
export function paperGaps(crop: LineCrop): PaperGap[] {
  const { width } = crop;
  const ink = columnInk(crop);
  const usual = Float32Array.from(ink).sort()[Math.floor(inkRank * (width - 1))] ?? 0;
  const least = Math.max(1, usual) * inkShare;
  const gaps: PaperGap[] = [];
  let lastInk = -1;
  for (let x = 0; x < width; x++) {
    if ((ink[x] ?? 0) < least) continue;
    if (lastInk >= 0 && x - lastInk > 1) gaps.push({ start: lastInk + 1, end: x });
    lastInk = x;
  }
  return gaps;
}

/** For each column the greatest distance from the paper's brightness, leaving out rules that run along the line. */
function columnInk(crop: LineCrop): Float32Array {
  const { width, height } = crop;
  const { brightness, histograms } = paperBright(crop);
  const paper = paperLevels(histograms, width);
  const ink = inkOfRows(brightness, paper, new Uint8Array(height));
  const most = ink.reduce((a, b) => Math.max(a, b), 0);
  const rules = ruleRows(brightness, { paper, height, least: most * inkShare });
  return rules.includes(1) ? inkOfRows(brightness, paper, rules) : ink;
}

/** As `columnInk`, leaving out the rows that are marked with 1. */
function inkOfRows(brightness: Uint8Array, paper: Float32Array, leftOut: Uint8Array): Float32Array {
  const width = paper.length;
  const darkest = new Uint8Array(width).fill(255);
  for (let y = 0, i = 0; y < leftOut.length; y++) {
    if (leftOut[y] === 1) {
      i += width;
      continue;
    }
    for (let x = 0; x < width; x++, i++) {
      const value = brightness[i] ?? 0;
      if (value < (darkest[x] ?? 0)) darkest[x] = value;
    }
  }
  return paper.map((level, x) => Math.max(0, level - (darkest[x] ?? 0)));
}

/**
 * Brightness with the paper as the bright side, white writing on black inverted; and how often each brightness is there
 * in each block of columns.
 */
function paperBright({ width, height, data }: LineCrop): {
  brightness: Uint8Array;
  histograms: Uint32Array[];
} {
  const brightness = new Uint8Array(width * height);
  const blocks = Math.max(1, Math.round(width / blockWidth));
  const counts = new Uint32Array(256 * blocks);
  for (let block = 0; block < blocks; block++) {
    const left = Math.floor((block * width) / blocks);
    const right = Math.floor(((block + 1) * width) / blocks);
    for (let y = 0; y < height; y++) {
      for (let i = y * width + left, source = 3 * i; i < y * width + right; i++, source += 3) {
        const value =
          ((data[source] ?? 0) * 77 + (data[source + 1] ?? 0) * 150 + (data[source + 2] ?? 0) * 29) >> 8;
        brightness[i] = value;
        counts[256 * block + value] = (counts[256 * block + value] ?? 0) + 1;
      }
    }
  }
  const histograms = Array.from({ length: blocks }, (_, block) =>
    counts.subarray(256 * block, 256 * (block + 1)),
  );
  if (isDark(histograms, brightness.length)) {
    for (let i = 0; i < brightness.length; i++) brightness[i] = 255 - (brightness[i] ?? 0);
    for (const histogram of histograms) histogram.reverse();
  }
  return { brightness, histograms };
}

/** Whether most of the pixels are on the dark side of what parts paper and ink. */
function isDark(histograms: readonly Uint32Array[], total: number): boolean {
  const all = new Uint32Array(256);
  for (const histogram of histograms)
    for (let value = 0; value < 256; value++) all[value] = (all[value] ?? 0) + (histogram[value] ?? 0);
  const threshold = otsuThreshold(all, total);
  let dark = 0;
  for (let value = 0; value <= threshold; value++) dark += all[value] ?? 0;
  return 2 * dark > total;
}

/** The brightness that best parts a histogram in two (Otsu, 1979). */
function otsuThreshold(histogram: Uint32Array, total: number): number {
  let sum = 0;
  for (let value = 0; value < 256; value++) sum += value * (histogram[value] ?? 0);
  let below = 0;
  let sumBelow = 0;
  let best = -1;
  let threshold = 127;
  for (let value = 0; value < 255; value++) {
    below += histogram[value] ?? 0;
    sumBelow += value * (histogram[value] ?? 0);
    if (below === 0) continue;
    if (below === total) break;
    const distance = sumBelow / below - (sum - sumBelow) / (total - below);
    const variance = below * (total - below) * distance * distance;
    if (variance > best) {
      best = variance;
      threshold = value;
    }
  }
  return threshold;
}

/** The paper's brightness at each column, from blocks of columns and in between them linearly. */
function paperLevels(histograms: readonly Uint32Array[], width: number): Float32Array {
  const blocks = histograms.length;
  const levels = Float32Array.from(histograms, paperLevel);
  return Float32Array.from({ length: width }, (_, x) => {
    const position = Math.min(blocks - 1, Math.max(0, ((x + 0.5) * blocks) / width - 0.5));
    const before = Math.floor(position);
    const from = levels[before] ?? 0;
    return from + ((levels[before + 1] ?? from) - from) * (position - before);
  });
}

function paperLevel(histogram: Uint32Array): number {
  const total = histogram.reduce((a, b) => a + b, 0);
  let seen = 0;
  let value = 0;
  while (value < 255 && seen + (histogram[value] ?? 0) < paperRank * total) {
    seen += histogram[value] ?? 0;
    value++;
  }
  return value;
}

/** Marks the rows that have more than `least` ink nearly everywhere. */
function ruleRows(
  brightness: Uint8Array,
  { paper, height, least }: { paper: Float32Array; height: number; least: number },
): Uint8Array {
  const width = paper.length;
  const rules = new Uint8Array(height);
  for (let y = 0; y < height; y++) {
    let inked = width;
    // Most rows are no rules, which shows after their first few columns without ink.
    for (let x = 0; x < width && inked > ruleShare * width; x++)
      if ((paper[x] ?? 0) - (brightness[y * width + x] ?? 0) <= least) inked--;
    if (inked > ruleShare * width) rules[y] = 1;
  }
  return rules;
}
