import type { FailureCode } from '@glyphmill/contract/failure';
import { detectionSize } from '@glyphmill/core/detection';
import type { RgbImage } from '@glyphmill/core/image';
import sharp, { type Sharp } from 'sharp';
import { type Format, sniff } from './formats.ts';

// Runs in decoding children only. Every loader but those of the formats we accept is blocked, whatever the
// bytes pretend to be.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadTiff',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadHeif',
  ],
});
sharp.cache(false);
sharp.concurrency(1);

/** The document cannot be read, and never will be. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface ImageDocument {
  bytes: Uint8Array;
  maxPagePixels: number;
  /** Pages to read. */
  pages: number;
  /** Images in the file: more than `pages` for an animation, of which only the first is read. */
  frames: number;
}

const white = '#ffffff';
const maxSide = 65_500;

/** Reads the headers; what is wrong with one page is found when that page is read. Throws Refused. */
export async function openImage(
  bytes: Uint8Array,
  { maxPagePixels, maxPages }: { maxPagePixels: number; maxPages: number },
): Promise<ImageDocument> {
  if (bytes.length === 0) throw new Refused('empty-document', 'The document has no bytes.');
  const sniffed = sniff(bytes);
  if ('refused' in sniffed) throw new Refused('unsupported-document', sniffed.refused);
  const { pages: frames = 1 } = await readMetadata(bytes, sniffed.format);
  // The pages of an animation are one moving picture; those of a TIFF are pages.
  const pages = sniffed.format === 'tiff' ? frames : 1;
  if (pages > maxPages) {
    throw new Refused('too-many-pages', `The document has ${pages} pages; at most ${maxPages} are read.`);
  }
  return { bytes, maxPagePixels, pages, frames };
}

async function readMetadata(bytes: Uint8Array, format: Format) {
  try {
    // No pixel limit here: what is too large is to be told so with its size.
    return await sharp(bytes, { limitInputPixels: false, failOn: 'warning' }).metadata();
  } catch (error) {
    throw corrupt(`${format.toUpperCase()} header`, error);
  }
}

export interface DecodedPage {
  image: RgbImage;
  /** Degrees by which the stored pixels were turned clockwise. */
  rotation: number;
  /** The page as the detector sees it. */
  detectorInput: RgbImage;
}

/** Decodes a page, counted from 1, upright and on white. Throws Refused. */
export async function readPage(
  { bytes, maxPagePixels }: ImageDocument,
  { number, maxSideLength }: { number: number; maxSideLength: number },
): Promise<DecodedPage> {
  try {
    const input = { limitInputPixels: maxPagePixels, failOn: 'warning', page: number - 1, pages: 1 } as const;
    const { width, height, orientation } = await sharp(bytes, {
      ...input,
      limitInputPixels: false,
    }).metadata();
    refuseLarge({ width, height, maxPagePixels });
    const decoded = sharp(bytes, input).autoOrient().flatten({ background: white }).toColourspace('srgb');
    const image = await toRgb(decoded);
    const detectorInput = await shrink(image, detectionSize(image.width, image.height, maxSideLength));
    return { image, rotation: rotationOf(orientation), detectorInput };
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw corrupt(`page ${number}`, error);
  }
}

async function shrink(image: RgbImage, size: { width: number; height: number }): Promise<RgbImage> {
  if (size.width === image.width && size.height === image.height) return image;
  const { width, height, data } = image;
  const resized = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false }).resize({
    ...size,
    fit: 'fill',
    kernel: 'linear',
  });
  return toRgb(resized);
}

async function toRgb(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels === 3) return { width, height, data };
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel += 1)
    rgb.fill(data[pixel * channels] ?? 0, pixel * 3, pixel * 3 + 3);
  return { width, height, data: rgb };
}

/** EXIF orientations 5 and 7 turn and mirror; what is told is the turn. */
function rotationOf(orientation: number | undefined): number {
  const rotations = [0, 0, 0, 180, 180, 90, 90, 270, 270];
  return rotations[orientation ?? 1] ?? 0;
}

function refuseLarge({
  width,
  height,
  maxPagePixels,
}: {
  width: number;
  height: number;
  maxPagePixels: number;
}) {
  if (width * height <= maxPagePixels && Math.max(width, height) <= maxSide) return;
  const limit = Math.round(maxPagePixels / 1e6);
  throw new Refused(
    'image-too-large',
    `The page has ${width} × ${height} pixels; at most ${limit} megapixels and ${maxSide} a side are read.`,
  );
}

function corrupt(what: string, error: unknown): Refused {
  if (error instanceof Error && /out of memory|unable to allocate/i.test(error.message)) {
    const message = `The ${what} needs more memory to decode than a document may take.`;
    return new Refused('decode-out-of-memory', message, { cause: error });
  }
  const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return new Refused('corrupt-document', `The ${what} cannot be decoded: ${reason}`, { cause: error });
}
