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

function warp(page: RgbImage, quad: Quad, { height, maxWidth }: RectifyOptions): LineCrop {
  assertRgbImage(page);
  const source = quadSize(quad);
  if (!(source.width > 0 && source.height > 0))
    throw new RangeError('expected a quad with an area, got an empty one');
  const width = Math.min(maxWidth, Math.max(1, Math.round((height * source.width) / source.height)));
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
  const pixels = page.data;
  const stride = page.width * 3;
  const maxX = page.width - 1;
  const maxY = page.height - 1;
  const weight = 1 / (samplesX * samplesY);
  const stepU = 1 / (width * samplesX);
  let target = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let red = 0.5;
      let green = 0.5;
      let blue = 0.5;
      for (let j = 0; j < samplesY; j++) {
        const v = (y + (j + 0.5) / samplesY) / height;
        for (let i = 0; i < samplesX; i++) {
          const u = (x * samplesX + i + 0.5) * stepU;
          const w = 1 / (map.g * u + map.h * v + 1);
          // Pixel values stand at pixel centres.
          const sourceX = Math.min(maxX, Math.max(0, (map.a * u + map.b * v + map.c) * w - 0.5));
          const sourceY = Math.min(maxY, Math.max(0, (map.d * u + map.e * v + map.f) * w - 0.5));
          const left = Math.floor(sourceX);
          const top = Math.floor(sourceY);
          const fx = sourceX - left;
          const fy = (sourceY - top) * weight;
          const p = top * stride + left * 3;
          const q = p + (top < maxY ? stride : 0);
          const next = left < maxX ? 3 : 0;
          const w00 = (1 - fx) * (weight - fy);
          const w01 = fx * (weight - fy);
          const w10 = (1 - fx) * fy;
          const w11 = fx * fy;
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
      }
      data[target] = red;
      data[target + 1] = green;
      data[target + 2] = blue;
      target += 3;
    }
  }
}
