import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { joinTiffPages } from '../fixtures/sample-tiff.ts';
import { blankPng } from './blank-png.ts';

/** Takes a decoding child about a second; reads as nothing. */
export const slowDocument = () => blankPng({ width: 6000, height: 5000, bitDepth: 16, colorType: 6 });

/** Interlaced, so that all 800 MB of it have to be in memory at once, and on its side, so that a copy has to be too. */
export const memoryBomb = () =>
  blankPng({ width: 10_000, height: 10_000, bitDepth: 16, colorType: 6, interlaced: true, orientation: 6 });

/** Some 5.9 kB each in JSON; results above 256 kB are too large for Redis. */
const largePages = 48;

/** With `options.characters` its result is too large for Redis and goes to the system bucket. */
export async function largeResultDocument(): Promise<Buffer> {
  const line = readFileSync(`${samplesFolder}line-long.png`);
  const page = await sharp(line).removeAlpha().tiff({ compression: 'lzw' }).toBuffer();
  return joinTiffPages(Array.from({ length: largePages }, () => page));
}
