import sharp from 'sharp';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { joinTiffPages } from '../fixtures/sample-tiff.ts';

/** Documents of many pages, of which some cannot be read. */

/** One line of text as a TIFF of one page. */
async function linePage(file = 'line-english.png'): Promise<Buffer> {
  return sharp(`${samplesFolder}${file}`).tiff({ compression: 'deflate' }).toBuffer();
}

/** A page whose header is well and whose pixels are not. */
export async function corruptPage(): Promise<Buffer> {
  const page = await linePage();
  const directory = page.readUInt32LE(4);
  // The pixels lie between the header of 8 bytes and the directory, or behind it; the middle of the longer part is theirs.
  const [start, end] = directory > page.length / 2 ? [8, directory] : [directory + 200, page.length];
  return Buffer.from(page).fill(0x55, start + (end - start) / 4, end - (end - start) / 4);
}

export async function hugePage(width = 3000, height = 3000): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .tiff({ compression: 'deflate' })
    .toBuffer();
}

/** A page of one grey, 0 to 255. */
export async function greyPage(grey: number): Promise<Buffer> {
  const background = { r: grey, g: grey, b: grey };
  return sharp({ create: { width: 64, height: 16, channels: 3, background } })
    .tiff({ compression: 'deflate' })
    .toBuffer();
}

/** A document of `count` pages with one line each, but for those given by their number. */
export async function documentOf(count: number, others: Record<number, Buffer> = {}): Promise<Buffer> {
  const page = await linePage();
  return joinTiffPages(Array.from({ length: count }, (_, index) => others[index + 1] ?? page));
}
