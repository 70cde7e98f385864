import type { LineCrop } from '@glyphmill/core/rectify';
import { quantile } from './statistics.ts';

/**
 * Widths of the lines of photographed receipts at height 48, in pixels: the share of lines that are narrower. The
 * samples' own lines are wider, since half of them are sentences of letters and articles.
 */
const wantedWidths: readonly { share: number; width: number }[] = [
  { share: 0, width: 40 },
  { share: 0.1, width: 66 },
  { share: 0.5, width: 183 },
  { share: 0.9, width: 484 },
  { share: 1, width: 1080 },
];
/** How much worse, as a ratio of widths, a line fits for each time that it is in the mix already. */
const repeatCost = 0.15;

/**
 * `count` lines of the given, chosen so that their widths are spread as above. They stay in the order in which they were
 * given, which is that of the pages; lines wider than the widest of the mix are left out. Throws where there is no line.
 */
export function mixLines(lines: readonly LineCrop[], count: number): LineCrop[] {
  const widest = wantedWidths.at(-1)?.width ?? 0;
  const uses = lines.map(({ width }, index) => ({ index, width, times: 0 }));
  const candidates = uses.filter(({ width }) => width <= widest);
  if (candidates.length === 0) throw new Error(`expected lines of at most ${widest} pixels, got none`);
  for (let n = 0; n < count; n++) {
    const wanted = wantedWidth((n + 0.5) / count);
    const misfit = ({ width, times }: { width: number; times: number }) =>
      Math.abs(Math.log(width / wanted)) + times * repeatCost;
    const best = candidates.reduce((a, b) => (misfit(b) < misfit(a) ? b : a));
    best.times += 1;
  }
  return uses.flatMap(({ index, times }) =>
    lines.slice(index, index + 1).flatMap((line) => Array(times).fill(line)),
  );
}

/** Straight between the points above on a logarithmic scale. */
function wantedWidth(share: number): number {
  const next = Math.max(
    1,
    wantedWidths.findIndex((point) => point.share >= share),
  );
  const [from, to] = wantedWidths.slice(next - 1, next + 1);
  if (!from || !to) throw new RangeError(`expected a share of 0 to 1, got ${share}`);
  const part = (share - from.share) / (to.share - from.share);
  return from.width * (to.width / from.width) ** part;
}

/** What the mix came to be. */
export function describeWidths(lines: readonly LineCrop[]) {
  const widths = lines.map(({ width }) => width);
  return {
    lines: lines.length,
    distinct: new Set(lines).size,
    percentile10: quantile(widths, 0.1),
    percentile50: quantile(widths, 0.5),
    percentile90: quantile(widths, 0.9),
    widest: Math.max(...widths),
  };
}
