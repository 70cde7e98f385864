import type { ModelConfig } from './model-config.ts';
import type { DetectSettings } from './model-parameters.ts';

/** The sides that sheets may have, ascending; none: a page is run in its own. */
export interface Sheets {
  heights: readonly number[];
  widths: readonly number[];
}

/**
 * What pages are laid on: the size that the model fixes, else on a GPU one of few, since there each new shape costs
 * hundreds of milliseconds, and else themselves. On the pages of the samples every line was found on such sheets too.
 */
export function sheetsOf(
  { input }: ModelConfig,
  { maxSide }: DetectSettings,
  provider: 'cpu' | 'cuda',
): Sheets {
  const [height = -1, width = -1] = input.dims.slice(-2);
  const open = provider === 'cuda' ? sidesUpTo(maxSide) : [];
  return { heights: height > 0 ? [height] : open, widths: width > 0 ? [width] : open };
}

/** At most a third of a page of the usual size is added, and a detector of 1,920 pixels has 36 shapes. */
const sideStep = 320;

function sidesUpTo(maxSide: number): number[] {
  // The detector halves its input five times.
  const largest = Math.floor(maxSide / 32) * 32;
  const count = Math.ceil(largest / sideStep);
  return Array.from({ length: count }, (_, i) => Math.min(largest, (i + 1) * sideStep));
}

export function sheetFor(
  page: { width: number; height: number },
  { heights, widths }: Sheets,
): { width: number; height: number } {
  return {
    width: widths.find((side) => side >= page.width) ?? page.width,
    height: heights.find((side) => side >= page.height) ?? page.height,
  };
}

/** All that `sheetFor` can give, where that is few. */
export function allSheets({ heights, widths }: Sheets): { width: number; height: number }[] {
  return heights.flatMap((height) => widths.map((width) => ({ width, height })));
}

/** The part of a sheet's map [height, width] that is the page's. */
export function mapOfPage(
  map: Float32Array,
  sheet: { width: number; height: number },
  page: { width: number; height: number },
): Float32Array {
  if (sheet.width === page.width) return map.subarray(0, page.width * page.height);
  const part = new Float32Array(page.width * page.height);
  for (let y = 0; y < page.height; y++)
    part.set(map.subarray(y * sheet.width, y * sheet.width + page.width), y * page.width);
  return part;
}
