import { gzipSync } from 'node:zlib';
import type { FailureCode } from '@glyphmill/contract/failure';
import sharp from 'sharp';
import { blankPng } from './blank-png.ts';
import { memoryBomb } from './documents.ts';
import { type Expected, lineDocument } from './ledger.ts';

export interface HostileDocument {
  name: string;
  bytes: Buffer;
  expected: Expected;
}

/** What users send by mistake and attackers on purpose, and what must become of each. */
export async function hostileDocuments(): Promise<HostileDocument[]> {
  return [
    { name: 'no bytes', bytes: Buffer.alloc(0), expected: failing('empty-document') },
    ...foreign().map(([name, bytes]) => ({ name, bytes, expected: failing('unsupported-document') })),
    ...(await damaged()).map(([name, bytes]) => ({ name, bytes, expected: failing('corrupt-document') })),
    ...bombs(),
    ...(await odd()),
  ];
}

const failing = (...codes: FailureCode[]): Expected => ({ codes });
const latin1 = (text: string) => Buffer.from(text, 'latin1');
const pngMagic = '\x89PNG\r\n\x1a\n';

/** What is none of the formats that are read, whatever it pretends. */
function foreign(): [name: string, bytes: Buffer][] {
  const svg = (inside: string) =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">${inside}</svg>`;
  const entities = Array.from({ length: 10 }, (_, n) => `<!ENTITY e${n + 1} "${`&e${n};`.repeat(10)}">`);
  const noise = Buffer.from(Array.from({ length: 65_536 }, (_, n) => (n * 7919 + (n >> 3) * 104_729) % 251));
  return [
    ['one byte', latin1('\xff')],
    ['zeros', Buffer.alloc(4096)],
    ['noise', noise],
    ['plain text', latin1('Dear Sir or Madam,\n'.repeat(40))],
    ['JSON', latin1('{"error":"AccessDenied"}')],
    ['an error page', latin1('<!doctype html><title>502 Bad Gateway</title>')],
    ['an SVG that reads a file', latin1(svg('<image href="file:///etc/passwd" width="9" height="9"/>'))],
    ['an SVG that calls a host', latin1(svg('<image href="http://127.0.0.1:9/" width="9" height="9"/>'))],
    [
      'an SVG of ten thousand million entities',
      latin1(`<!DOCTYPE svg [<!ENTITY e0 "x">${entities.join('')}]>${svg('<text>&e10;</text>')}`),
    ],
    ['a compressed SVG', gzipSync(svg('<text>x</text>'))],
    ['a gzip bomb', gzipSync(Buffer.alloc(64_000_000))],
    [
      'a script for ImageMagick',
      latin1('push graphic-context\nimage over 0,0 0,0 "|id"\npop graphic-context\n'),
    ],
    ['PostScript', latin1('%!PS-Adobe-3.0\n(/etc/passwd) (r) file\nshowpage\n')],
    ['a PDF', latin1('%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF')],
    ['a ZIP archive', Buffer.concat([latin1('PK\x03\x04'), Buffer.alloc(60)])],
    ['a Windows program', Buffer.concat([latin1('MZ\x90\0'), Buffer.alloc(512)])],
    ['a Linux program', Buffer.concat([latin1('\x7fELF\x02\x01\x01'), Buffer.alloc(512)])],
    ['a BMP image', Buffer.concat([latin1('BM'), Buffer.alloc(100)])],
    ['an HEIC image', latin1('\0\0\0\x18ftypheic\0\0\0\0mif1heic')],
    ['a JPEG XL image', Buffer.concat([latin1('\xff\x0a'), Buffer.alloc(50)])],
    ['a PNM image', latin1('P5 4 4 255\n0123456789abcdef')],
  ];
}

/** What is of a format that is read and cannot be. */
async function damaged(): Promise<[name: string, bytes: Buffer][]> {
  const { bytes: png } = lineDocument(0);
  const image = sharp(png).flatten({ background: '#fff' });
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2);
  const middle = png.length >> 1;
  const flipped = Buffer.concat([png.subarray(0, middle), Buffer.alloc(64, 0xa5), png.subarray(middle + 64)]);
  const noWidth = Buffer.from(png);
  noWidth.writeUInt32BE(0, 16);
  const withoutPixels = Buffer.concat([png.subarray(0, 33), png.subarray(-12)]);
  // A directory without entries, which is followed by itself.
  const loop = Buffer.from('49492a00080000000000' + '08000000', 'hex');
  return [
    ['the first bytes of a PNG', latin1(pngMagic)],
    ['half a PNG', half(png)],
    ['a PNG with damaged pixels', flipped],
    ['a PNG without width', noWidth],
    ['a PNG without pixels', withoutPixels],
    ['the first bytes of a JPEG', latin1('\xff\xd8\xff\xe0')],
    ['half a JPEG', half(await image.jpeg().toBuffer())],
    ['half a WebP', half(await image.webp({ lossless: true }).toBuffer())],
    ['the first bytes of a GIF', latin1('GIF89a\x10\0\x10\0')],
    ['half an AVIF', half(await image.avif().toBuffer())],
    ['the first bytes of a TIFF', latin1('II\x2a\0\x08\0\0\0')],
    ['half a TIFF', half(await image.tiff({ compression: 'lzw' }).toBuffer())],
    ['a TIFF whose directory leads to itself', loop],
  ];
}

/** What is small and grows without bound. */
function bombs(): HostileDocument[] {
  const claimed = Buffer.from(blankPng({ width: 1, height: 1, bitDepth: 8, colorType: 0 }));
  claimed.writeUInt32BE(0x7fff_ffff, 16);
  claimed.writeUInt32BE(0x7fff_ffff, 20);
  return [
    {
      name: 'a PNG of 1,600 megapixels',
      bytes: blankPng({ width: 40_000, height: 40_000, bitDepth: 1, colorType: 0 }),
      expected: failing('image-too-large'),
    },
    {
      name: 'a PNG that says it is the largest there can be',
      bytes: claimed,
      expected: failing('image-too-large', 'corrupt-document'),
    },
    { name: 'a PNG that takes 800 MB', bytes: memoryBomb(), expected: failing('decode-out-of-memory') },
  ];
}

/** What looks wrong and is not. */
async function odd(): Promise<HostileDocument[]> {
  const { bytes: png, text } = lineDocument(0);
  const image = () => sharp(png).flatten({ background: '#fff' });
  const blank = (name: string, width: number, height: number): HostileDocument => ({
    name,
    bytes: blankPng({ width, height, bitDepth: 8, colorType: 0 }),
    expected: { text: '' },
  });
  const same = (name: string, bytes: Buffer): HostileDocument => ({ name, bytes, expected: { text } });
  return [
    blank('one pixel', 1, 1),
    blank('a line of pixels', 20_000, 1),
    blank('a column of pixels', 1, 20_000),
    blank('a black page', 1240, 1754),
    same('sixteen bits a channel', await image().toColourspace('rgb16').png().toBuffer()),
    same('an interlaced PNG', await image().png({ progressive: true }).toBuffer()),
    same('a WebP without loss', await image().webp({ lossless: true }).toBuffer()),
    same('a TIFF of one page', await image().tiff({ compression: 'lzw' }).toBuffer()),
    same('bytes behind the end', Buffer.concat([png, Buffer.alloc(5000, 0x3c)])),
  ];
}
