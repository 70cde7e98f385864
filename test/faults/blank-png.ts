import { constants, crc32, deflateRawSync } from 'node:zlib';

export interface BlankPng {
  width: number;
  height: number;
  /** 1 to 16. */
  bitDepth: number;
  /** PNG specification, 11.2.2: 0 grey, 2 RGB, 6 RGB with alpha. */
  colorType: 0 | 2 | 6;
  interlaced?: boolean;
  /** EXIF 2.3, tag 274: 1 as stored, 6 to be turned clockwise by 90°. */
  orientation?: number;
}

const channels = { 0: 1, 2: 3, 6: 4 };
const pieceBytes = 1 << 20;
/** Columns and rows of each Adam7 pass: start and step. */
const passes = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];

/** A valid PNG whose pixels are all zero: a thousand times larger decoded than it is, and made in no time. */
export function blankPng(image: BlankPng): Buffer {
  const { width, height, bitDepth, colorType, interlaced = false, orientation } = image;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = bitDepth;
  header[9] = colorType;
  header[12] = interlaced ? 1 : 0;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...(orientation === undefined ? [] : [chunk('eXIf', exifOf(orientation))]),
    chunk('IDAT', zlibOfZeros(rawBytes(image))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A big-endian TIFF header with one directory of one short, the orientation. */
function exifOf(orientation: number): Buffer {
  const exif = Buffer.from('4d4d002a00000008000101120003000000010000000000000000', 'hex');
  exif.writeUInt16BE(orientation, 18);
  return exif;
}

/** Filter bytes, one a row, and pixels. */
function rawBytes({ width, height, bitDepth, colorType, interlaced }: BlankPng): number {
  const rowBytes = (columns: number) =>
    columns === 0 ? 0 : 1 + Math.ceil((columns * bitDepth * channels[colorType]) / 8);
  if (!interlaced) return height * rowBytes(width);
  const count = (size: number, start: number, step: number) => Math.max(0, Math.ceil((size - start) / step));
  return passes.reduce(
    (sum, { x, y, dx, dy }) => sum + count(height, y, dy) * rowBytes(count(width, x, dx)),
    0,
  );
}

/** One compressed piece that ends on a byte repeats as often as is needed. */
function zlibOfZeros(size: number): Buffer {
  const piece = deflateRawSync(Buffer.alloc(pieceBytes), { finishFlush: constants.Z_FULL_FLUSH });
  const rest = deflateRawSync(Buffer.alloc(size % pieceBytes));
  const whole = Array.from({ length: Math.floor(size / pieceBytes) }, () => piece);
  // Adler-32 of n zeros: the low sum stays 1, the high one counts them modulo 65521.
  const check = Buffer.alloc(4);
  check.writeUInt16BE(size % 65_521, 0);
  check.writeUInt16BE(1, 2);
  return Buffer.concat([Buffer.from([0x78, 0x9c]), ...whole, rest, check]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
