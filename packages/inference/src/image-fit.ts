import { detectionSize } from '@glyphmill/core/detection';
import type { RectifyOptions } from '@glyphmill/core/rectify';
import type { ImageBytes } from './instance-messages.ts';
import { ModelError } from './model-error.ts';
import type { DetectSettings, RecognizeSettings } from './model-parameters.ts';

/** Throws `bad-input` unless the page has the size that `detectionSize` gives it. */
export function assertPageFits({ width, height, data }: ImageBytes, { maxSide }: DetectSettings): void {
  const fits = detectionSize(width, height, maxSide);
  if (fits.width !== width || fits.height !== height)
    throw new ModelError(
      'bad-input',
      `expected a page of ${fits.width}×${fits.height} pixels, got ${width}×${height}`,
    );
  if (data.length !== width * height * 3)
    throw new ModelError('bad-input', `expected ${width * height * 3} bytes of page, got ${data.length}`);
}

/** How a line is cut out for a recogniser. */
export function lineSize({ height, widthLadder, resize }: RecognizeSettings): RectifyOptions {
  const maxWidth = widthLadder.at(-1) ?? 0;
  return { height, minWidth: resize === 'stretch' ? maxWidth : 1, maxWidth };
}

/** Throws `bad-input` unless the line has the model's height and fits its widest bucket. */
export function assertLineFits({ width, height, data }: ImageBytes, settings: RecognizeSettings): void {
  const widest = settings.widthLadder.at(-1) ?? 0;
  if (height !== settings.height || width < 1 || width > widest)
    throw new ModelError(
      'bad-input',
      `expected a line ${settings.height} pixels high and at most ${widest} wide, got ${width}×${height}`,
    );
  if (data.length !== width * height * 3)
    throw new ModelError('bad-input', `expected ${width * height * 3} bytes of line, got ${data.length}`);
}
