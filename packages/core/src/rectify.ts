import { type Quad, quadSize } from './geometry.ts';
import { assertRgbImage, type RgbImage } from './image.ts';

/** Upright pixels of one line, RGB, 8 bits a channel, interleaved, at the recogniser's height. */
export interface LineCrop {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface RectifyOptions {
  /** Height of the crop in pixels: the recogniser's. */
  readonly height: number;
  /** Lines that would come out narrower are stretched to this width; 1 stretches none. */
  readonly minWidth: number;
  /** Lines that would come out wider are squeezed to this width. */
  readonly maxWidth: number;
}

/** From this height ÷ width on, text runs down the page and is turned by a quarter turn against the clock. */
const verticalRatio = 1.5;
/** Samples per crop pixel and direction at most; each reads two pixels, so shrinking to a sixteenth loses nothing. */
const maxSamples = 8;

/** The line inside `quad`, straightened by a perspective warp. What lies outside the page repeats its border. */
export function rectifyLine(page: RgbImage, quad: Quad, options: RectifyOptions): LineCrop {
  const { width, height } = quadSize(quad);
  return warp(page, height >= verticalRatio * width ? turned(quad) : quad, options);
}

/** The whole image as one line, never turned. */
export function resizeLine(image: RgbImage, options: RectifyOptions): LineCrop {
  const { width, height } = image;
  return warp(image, [0, 0, width, 0, width, height, 0, height], options);
}

function turned([x1, y1, x2, y2, x3, y3, x4, y4]: Quad): Quad {
  return [x2, y2, x3, y3, x4, y4, x1, y1];
}

function warp(page: RgbImage, quad: Quad, { height, minWidth, maxWidth }: RectifyOptions): LineCrop {
  assertRgbImage(page);
  const source = quadSize(quad);
  if (!(source.width > 0 && source.height > 0))
    throw new RangeError('expected a quad with an area, got an empty one');
  const width = Math.min(maxWidth, Math.max(minWidth, Math.round((height * source.width) / source.height)));
  const crop = { width, height, data: new Uint8Array(width * height * 3) };
  const samplesX = sampleCount(source.width / width);
  const samplesY = sampleCount(source.height / height);
  sample(page, crop, projection(quad), samplesX, samplesY);
  return crop;
}

function sampleCount(shrink: number): number {
  return Math.min(maxSamples, Math.max(1, Math.ceil(shrink - 0.25)));
}

/** Maps the unit square to a quad: x = (a·u + b·v + c) ÷ (g·u + h·v + 1), y likewise (Heckbert, 1989). */
interface Projection {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
  readonly g: number;
  readonly h: number;
}

function projection([x1, y1, x2, y2, x3, y3, x4, y4]: Quad): Projection {
  const sumX = x1 - x2 + x3 - x4;
  const sumY = y1 - y2 + y3 - y4;
  const dx1 = x2 - x3;
  const dx2 = x4 - x3;
  const dy1 = y2 - y3;
  const dy2 = y4 - y3;
  const divisor = dx1 * dy2 - dx2 * dy1;
  const g = divisor === 0 ? 0 : (sumX * dy2 - dx2 * sumY) / divisor;
  const h = divisor === 0 ? 0 : (dx1 * sumY - sumX * dy1) / divisor;
  return {
    a: x2 - x1 + g * x2,
    b: x4 - x1 + h * x4,
    c: x1,
    d: y2 - y1 + g * y2,
    e: y4 - y1 + h * y4,
    f: y1,
    g,
    h,
  };
}

/** Fills the crop: each pixel is the mean of samplesX × samplesY bilinear readings spread evenly over its square. */
function sample(page: RgbImage, crop: LineCrop, map: Projection, samplesX: number, samplesY: number): void {
  const { width, height, data } = crop;
  const columns = width * samplesX;
  const rows = height * samplesY;
  // Offsets and shares of one row of readings, then the sums of one row of pixels: reused, so that pixels allocate nothing.
  const sums = new Float32Array(width * 3);
  const xs = new Float64Array(columns);
  const ys = new Float64Array(columns);
  const share = 1 / (samplesX * samplesY);
  for (let y = 0; y < height; y++) {
    sums.fill(0.5);
    for (let j = 0; j < samplesY; j++) {
      place(map, (y * samplesY + j + 0.5) / rows, page, xs, ys);
      addReadings(page, xs, ys, samplesX, share, sums);
    }
    const target = y * width * 3;
    for (let i = 0; i < sums.length; i++) data[target + i] = sums[i] ?? 0;
  }
}

/** Page coordinates of one row of readings, kept on the page: what lies outside repeats the border. */
function place(map: Projection, v: number, page: RgbImage, xs: Float64Array, ys: Float64Array): void {
  const { a, d, g } = map;
  const x0 = map.b * v + map.c;
  const y0 = map.e * v + map.f;
  const w0 = map.h * v + 1;
  const isAffine = g === 0 && map.h === 0;
  // Just short of the last pixel, so that a reading always finds a neighbour to the right and below.
  const maxX = Math.max(0, page.width - 1 - 1e-6);
  const maxY = Math.max(0, page.height - 1 - 1e-6);
  for (let i = 0; i < xs.length; i++) {
    const u = (i + 0.5) / xs.length;
    const w = isAffine ? 1 : 1 / (g * u + w0);
    // Pixel values stand at pixel centres.
    const x = (a * u + x0) * w - 0.5;
    const y = (d * u + y0) * w - 0.5;
    xs[i] = Math.min(maxX, Math.max(0, x));
    ys[i] = Math.min(maxY, Math.max(0, y));
  }
}

function addReadings(
  page: RgbImage,
  xs: Float64Array,
  ys: Float64Array,
  samplesX: number,
  share: number,
  sums: Float32Array,
): void {
  const pixels = page.data;
  const stride = page.width * 3;
  const next = page.width > 1 ? 3 : 0;
  const below = page.height > 1 ? stride : 0;
  for (let target = 0, i = 0; target < sums.length; target += 3) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (const end = i + samplesX; i < end; i++) {
      const x = xs[i] ?? 0;
      const y = ys[i] ?? 0;
      const left = x | 0;
      const top = y | 0;
      const p = top * stride + left * 3;
      const q = p + below;
      const fx = x - left;
      const fy = y - top;
      const w11 = fx * fy;
      const w10 = fy - w11;
      const w01 = fx - w11;
      const w00 = 1 - fx - w10;
      red +=
        w00 * (pixels[p] ?? 0) +
        w01 * (pixels[p + next] ?? 0) +
        w10 * (pixels[q] ?? 0) +
        w11 * (pixels[q + next] ?? 0);
      green +=
        w00 * (pixels[p + 1] ?? 0) +
        w01 * (pixels[p + next + 1] ?? 0) +
        w10 * (pixels[q + 1] ?? 0) +
        w11 * (pixels[q + next + 1] ?? 0);
      blue +=
        w00 * (pixels[p + 2] ?? 0) +
        w01 * (pixels[p + next + 2] ?? 0) +
        w10 * (pixels[q + 2] ?? 0) +
        w11 * (pixels[q + next + 2] ?? 0);
    }
    sums[target] = (sums[target] ?? 0) + red * share;
    sums[target + 1] = (sums[target + 1] ?? 0) + green * share;
    sums[target + 2] = (sums[target + 2] ?? 0) + blue * share;
  }
}
