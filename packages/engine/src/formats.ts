/** Formats that are decoded, told apart by their first bytes: names and content types lie. */
export type Format = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif' | 'tiff';

export type Sniffed = { format: Format } | { refused: string };

const ascii = (bytes: Uint8Array, start: number, end: number) =>
  String.fromCharCode(...bytes.subarray(start, end));

const accepted = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';

/** What the bytes are, or in words what they are instead. */
export function sniff(bytes: Uint8Array): Sniffed {
  const format = accept(bytes);
  if (format !== undefined) return { format };
  return { refused: `The document is ${describe(bytes)}; send ${accepted}.` };
}

function accept(bytes: Uint8Array): Format | undefined {
  const starts = (magic: string, offset = 0) => ascii(bytes, offset, offset + magic.length) === magic;
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('GIF87a') || starts('GIF89a')) return 'gif';
  if (starts('RIFF') && starts('WEBP', 8)) return 'webp';
  if (tiffMagics.some((magic) => starts(magic))) return 'tiff';
  if (isoBrands(bytes).some((brand) => brand === 'avif' || brand === 'avis')) return 'avif';
  return undefined;
}

/** Classic TIFF and BigTIFF, little and big endian. */
const tiffMagics = ['II\x2a\0', 'II\x2b\0', 'MM\0\x2a', 'MM\0\x2b'];

/** Brands of an ISO base media file (ISO/IEC 14496-12, `ftyp`): the major one and those it is compatible with. */
function isoBrands(bytes: Uint8Array): string[] {
  if (ascii(bytes, 4, 8) !== 'ftyp') return [];
  const size = Math.min(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), bytes.length, 256);
  const brands = [ascii(bytes, 8, 12)];
  for (let offset = 16; offset + 4 <= size; offset += 4) brands.push(ascii(bytes, offset, offset + 4));
  return brands;
}

/** Formats that are told apart only to say in the refusal what came. */
const known: [magics: string[], description: string][] = [
  [['BM'], 'a BMP image'],
  [['\0\0\0\x0cjP  ', '\xff\x4f\xff\x51'], 'a JPEG 2000 image'],
  [['\xff\x0a', '\0\0\0\x0cJXL '], 'a JPEG XL image'],
  [['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7'], 'a PNM image'],
  [['PK\x03\x04'], 'a ZIP archive or an office document'],
  [['\x1f\x8b'], 'gzip data'],
  [['<'], 'XML, SVG or HTML'],
];
/** Readers of PDF accept its header anywhere in the first 1024 bytes. */
const pdfHeaderBytes = 1024;

function describe(bytes: Uint8Array): string {
  if (isoBrands(bytes).some((brand) => /^(hei|hev|mif1|msf1)/.test(brand))) return 'an HEIC image';
  const head = ascii(bytes, 0, pdfHeaderBytes);
  if (head.includes('%PDF-')) return 'a PDF, which is not read yet: render its pages to images first';
  const match = known.find(([magics]) => magics.some((magic) => head.startsWith(magic)));
  if (match !== undefined) return match[1];
  return /^[\t\n\r\x20-\x7e]+$/.test(head.slice(0, 64)) ? 'plain text' : 'of no format known here';
}
