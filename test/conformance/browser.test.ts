import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { findChromium, noChromium } from '../e2e/browser.ts';
import { type BrowserPage, openBrowserPage } from './browser.ts';
import type { Assignment, Outcome } from './case.ts';
import { type Suite, startSuite } from './suite.ts';

const chromium = findChromium();
const skip = chromium === undefined ? noChromium : false;

let dir: string;
let opened: BrowserPage;
let suite: Suite;
before(async () => {
  if (chromium === undefined) return;
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-browser-'));
  suite = await startSuite();
  opened = await openBrowserPage(dir);
});
after(async () => {
  if (chromium === undefined) return;
  await opened.close();
  await suite.close();
  await rm(dir, { recursive: true, force: true });
});

// In the page, and written as text, so that nothing compiles its imports.
const runInPage = `async (assignments) => {
  const { runAssignments } = await import('/test/conformance/driver.js');
  const imageData = (width, height) => new ImageData(width, height);
  return JSON.stringify(await runAssignments(assignments, { imageData }));
}`;

test('the client for TypeScript, in Chromium', { skip }, async (t) => {
  await suite.judge(t, 'chromium', async (assignments: Assignment[]): Promise<Outcome[]> => {
    const text = await opened.page.evaluate<string>(`(${runInPage})(${JSON.stringify(assignments)})`);
    return JSON.parse(text);
  });
  assert.deepEqual(opened.errors, []);
});

interface Prepared {
  type: string;
  base64: string;
}

async function prepare(expression: string, options: object) {
  const { type, base64 } = await opened.page.evaluate<Prepared>(`(async () => {
    const { prepareImage } = await import('/packages/client/src/browser.js');
    const blob = await prepareImage(await (${expression})(), ${JSON.stringify(options)});
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return { type: blob.type, base64: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) };
  })()`);
  const bytes = Buffer.from(base64, 'base64');
  const { width, height, format } = await sharp(bytes).metadata();
  return { type, width, height, format, bytes };
}

const canvasOf = (width: number, height: number) =>
  `() => Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} })`;

test('a picture is made no wider than it may be, and keeps its aspect ratio', { skip }, async () => {
  const wide = await prepare(canvasOf(2000, 900), { maxWidth: 1000, quality: 0.7 });
  assert.deepEqual([wide.type, wide.format, wide.width, wide.height], ['image/jpeg', 'jpeg', 1000, 450]);
  const usual = await prepare(canvasOf(3000, 1500), {});
  assert.deepEqual([usual.width, usual.height], [1024, 512]);
  const narrow = await prepare(canvasOf(300, 1500), {});
  assert.deepEqual([narrow.width, narrow.height], [300, 1500]);
});

test('what is transparent becomes white, not black', { skip }, async () => {
  const { bytes } = await prepare(canvasOf(20, 10), {});
  const { channels } = await sharp(bytes).stats();
  assert.ok(channels.every(({ min }) => min > 250));
});

test('a photograph is turned as its EXIF orientation says', { skip }, async () => {
  // Dark on its left half as it is stored; turned a quarter to the right, that is the upper one.
  const left = {
    input: { create: { width: 40, height: 40, channels: 3, background: '#000' } },
    left: 0,
    top: 0,
  } as const;
  const stored = await sharp({ create: { width: 80, height: 40, channels: 3, background: '#fff' } })
    .composite([left])
    .jpeg()
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const blob = `async () => await (await fetch('data:image/jpeg;base64,${stored.toString('base64')}')).blob()`;
  const { width, height, bytes } = await prepare(blob, {});
  assert.deepEqual([width, height], [40, 80]);
  // Statistics are of the whole of an input.
  const meanOf = async (top: number) => {
    const half = await sharp(bytes).extract({ left: 5, top, width: 30, height: 25 }).png().toBuffer();
    return (await sharp(half).stats()).channels[0]?.mean ?? Number.NaN;
  };
  const [upper, lower] = [await meanOf(0), await meanOf(50)];
  assert.ok(upper < 20 && lower > 235, `${upper} above ${lower}`);
});
