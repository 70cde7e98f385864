import { assertRgbImage, type RgbImage } from './image.ts';

/** The detector halves its input five times, so both sides must be multiples of 2⁵. */
const sideMultiple = 32;
/** ImageNet statistics, in the order of the planes: the published weights were trained on BGR with these as they stand. */
const mean = [0.485, 0.456, 0.406];
const deviation = [0.229, 0.224, 0.225];

/**
 * Size to which a page is resized for detection: longer side ≤ `maxSideLength`, both sides multiples of 32,
 * pages that fit already keep their size but for the rounding. Throws RangeError for a limit below 32.
 */
export function detectionSize(
  width: number,
  height: number,
  maxSideLength = 960,
): { width: number; height: number } {
  if (!(width >= 1 && height >= 1))
    throw new RangeError(`expected a page with positive sides, got ${width}×${height}`);
  if (!(maxSideLength >= sideMultiple))
    throw new RangeError(`expected a limit of at least ${sideMultiple}, got ${maxSideLength}`);
  const scale = Math.min(1, maxSideLength / Math.max(width, height));
  const limit = Math.floor(maxSideLength / sideMultiple) * sideMultiple;
  const fit = (side: number) =>
    Math.min(limit, Math.max(sideMultiple, Math.round((side * scale) / sideMultiple) * sideMultiple));
  return { width: fit(width), height: fit(height) };
}

/**
 * The detector's input [3, height, width] in planes B, G, R, normalised; the image must have its detection size. On a
 * larger sheet the page lies at the top left, and its last column and row are repeated to the sheet's edges: a page
 * that ended in another colour would show an edge which the detector looks at.
 */
export function packPage(
  image: RgbImage,
  sheet: { readonly width: number; readonly height: number } = image,
): Float32Array {
  assertRgbImage(image);
  const { data, width, height } = image;
  if (sheet.width < width || sheet.height < height)
    throw new RangeError(
      `expected a sheet of at least ${width}×${height}, got ${sheet.width}×${sheet.height}`,
    );
  const area = sheet.width * sheet.height;
  const tensor = new Float32Array(3 * area);
  for (let plane = 0; plane < 3; plane++) {
    const table = normalizationTable(mean[plane] ?? 0, deviation[plane] ?? 1);
    const start = plane * area;
    for (let y = 0, source = 2 - plane; y < height; y++) {
      const row = start + y * sheet.width;
      for (let x = 0; x < width; x++, source += 3) tensor[row + x] = table[data[source] ?? 0] ?? 0;
      tensor.fill(tensor[row + width - 1] ?? 0, row + width, row + sheet.width);
    }
    const last = start + (height - 1) * sheet.width;
    for (let y = height; y < sheet.height; y++)
      tensor.copyWithin(start + y * sheet.width, last, last + sheet.width);
  }
  return tensor;
}

function normalizationTable(average: number, spread: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => (value / 255 - average) / spread);
}
