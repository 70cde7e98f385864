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
function columnInk({ width, height, data }: LineCrop): Float32Array {
  const brightness = paperBright({ width, height, data });
  const paper = paperLevels(brightness, width, height);
  const rules = ruleRows(brightness, paper, width, height);
  const ink = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    if (rules[y] === 1) continue;
    for (let x = 0; x < width; x++) {
      const distance = (paper[x] ?? 0) - (brightness[y * width + x] ?? 0);
      if (distance > (ink[x] ?? 0)) ink[x] = distance;
    }
  }
  return ink;
}

/** Brightness with the paper as the bright side: white writing on black is inverted. */
function paperBright({ width, height, data }: LineCrop): Uint8Array {
  const brightness = new Uint8Array(width * height);
  const histogram = new Uint32Array(256);
  for (let i = 0, source = 0; i < brightness.length; i++, source += 3) {
    const value =
      ((data[source] ?? 0) * 77 + (data[source + 1] ?? 0) * 150 + (data[source + 2] ?? 0) * 29) >> 8;
    brightness[i] = value;
    histogram[value] = (histogram[value] ?? 0) + 1;
  }
  const threshold = otsuThreshold(histogram, brightness.length);
  let dark = 0;
  for (let value = 0; value <= threshold; value++) dark += histogram[value] ?? 0;
  if (2 * dark > brightness.length)
    for (let i = 0; i < brightness.length; i++) brightness[i] = 255 - (brightness[i] ?? 0);
  return brightness;
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
function paperLevels(brightness: Uint8Array, width: number, height: number): Float32Array {
  const blocks = Math.max(1, Math.round(width / blockWidth));
  const levels = new Float32Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const left = Math.floor((block * width) / blocks);
    const right = Math.floor(((block + 1) * width) / blocks);
    const histogram = new Uint32Array(256);
    for (let y = 0; y < height; y++) {
      for (let x = left; x < right; x++) {
        const value = brightness[y * width + x] ?? 0;
        histogram[value] = (histogram[value] ?? 0) + 1;
      }
    }
    let seen = 0;
    let value = 0;
    while (value < 255 && seen + (histogram[value] ?? 0) < paperRank * height * (right - left)) {
      seen += histogram[value] ?? 0;
      value++;
    }
    levels[block] = value;
  }
  return Float32Array.from({ length: width }, (_, x) => {
    const position = Math.min(blocks - 1, Math.max(0, ((x + 0.5) * blocks) / width - 0.5));
    const before = Math.floor(position);
    const from = levels[before] ?? 0;
    return from + ((levels[before + 1] ?? from) - from) * (position - before);
  });
}

function ruleRows(brightness: Uint8Array, paper: Float32Array, width: number, height: number): Uint8Array {
  const rules = new Uint8Array(height);
  let darkest = 0;
  for (let i = 0; i < brightness.length; i++)
    darkest = Math.max(darkest, (paper[i % width] ?? 0) - (brightness[i] ?? 0));
  for (let y = 0; y < height; y++) {
    let inked = 0;
    for (let x = 0; x < width; x++) {
      if ((paper[x] ?? 0) - (brightness[y * width + x] ?? 0) > darkest * inkShare) inked++;
    }
    if (inked > ruleShare * width) rules[y] = 1;
  }
  return rules;
}
