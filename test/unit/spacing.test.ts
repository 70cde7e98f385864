import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Character } from '@glyphmill/core/ctc';
import type { LineCrop } from '@glyphmill/core/rectify';
import { narrowForms, readingOf, restoreSpaces } from '@glyphmill/core/spacing';
import { findWordGaps } from '@glyphmill/core/word-gaps';
import fc from 'fast-check';

interface Line {
  readonly crop: LineCrop;
  readonly characters: Character[];
  readonly steps: number;
}

/**
 * A line drawn as one arch per character: 14 px wide, 3 px apart, 12 px for each space of `text`, which the
 * recogniser's characters lack. Time steps are 8 px.
 */
function drawn(text: string, { ink = 20, paper = 230, letterGap = 3, space = 12, shade = 0 } = {}): Line {
  const bars: { left: number; text: string }[] = [];
  let x = 6;
  for (const character of text) {
    if (character === ' ') {
      x += space - letterGap;
      continue;
    }
    bars.push({ left: x, text: character });
    x += 14 + letterGap;
  }
  const width = x + 6;
  const data = new Uint8Array(width * 48 * 3);
  for (let i = 0; i < data.length; i++) {
    const column = Math.floor(i / 3) % width;
    const row = Math.floor(i / 3 / width);
    const at = bars.map(({ left }) => column - left).find((offset) => offset >= 0 && offset < 14) ?? -1;
    const isInk = row >= 10 && row < 40 && at >= 0 && (at < 4 || at >= 10 || row < 14);
    data[i] = (isInk ? ink : paper) * (1 - (shade * column) / width);
  }
  const characters = bars.map((bar) => ({ text: bar.text, confidence: 0.9, step: (bar.left + 7) / 8 - 0.5 }));
  return { crop: { width, height: 48, data }, characters, steps: Math.ceil(width / 8) };
}

function restored({ crop, characters, steps }: Line): string {
  return restoreSpaces(characters, crop, steps, steps * 8)
    .map(({ text }) => text)
    .join('');
}

test('lost spaces come back where the paper shows through', () => {
  for (const text of ['the old bridge', 'Total due 30 days', 'word']) {
    assert.equal(restored(drawn(text)), text);
  }
});

test('light writing on dark, faint writing and uneven light make no difference', () => {
  const text = 'ship to the back door';
  assert.equal(restored(drawn(text, { ink: 240, paper: 30 })), text);
  assert.equal(restored(drawn(text, { ink: 150, paper: 190 })), text);
  assert.equal(restored(drawn(text, { shade: 0.5 })), text);
});

test('letters set wide apart are one word', () => {
  assert.equal(restored(drawn('HARVEST', { letterGap: 9 })), 'HARVEST');
});

test('spaces that the recogniser found are kept and not doubled', () => {
  const line = drawn('one two');
  const characters = [
    ...line.characters.slice(0, 3),
    { text: ' ', confidence: 0.8, step: 7 },
    ...line.characters.slice(3),
  ];
  assert.equal(restored({ ...line, characters }), 'one two');
});

test('no space stands before a closing mark or after an opening one', () => {
  assert.equal(restored(drawn('well , then')), 'well, then');
  assert.equal(restored(drawn('see ( here )')), 'see (here)');
});

test('ideographs stay together however far apart they stand', () => {
  assert.equal(restored(drawn('本办法适用', { letterGap: 20 })), '本办法适用');
  assert.equal(restored(drawn('手机Pro', { letterGap: 4 })), '手机Pro');
  assert.equal(restored(drawn('手机 Pro', { letterGap: 4, space: 16 })), '手机 Pro');
  assert.equal(restored(drawn('2024 年 3 月', { letterGap: 4, space: 16 })), '2024年3月');
});

test('whatever is read and drawn, only spaces are added, and none between ideographs', () => {
  const alphabet = fc.constantFrom(...'abfil1.,:"()- /AVT木日，。%￥é');
  const characters = fc.array(
    fc.record({ text: alphabet, step: fc.double({ min: 0, max: 30, noNaN: true }) }),
  );
  fc.assert(
    fc.property(characters, fc.uint8Array({ minLength: 240, maxLength: 240 }), (list, columns) => {
      const data = new Uint8Array(240 * 48 * 3);
      for (let i = 0; i < data.length; i++) data[i] = columns[Math.floor(i / 3) % 240] ?? 0;
      const read = list
        .map((character) => ({ ...character, confidence: 0.5 }))
        .sort((a, b) => a.step - b.step);
      const result = restoreSpaces(read, { width: 240, height: 48, data }, 30, 240);
      const added = result.filter((character) => !read.includes(character));
      assert.ok(added.every(({ text }) => text === ' '));
      assert.deepEqual(
        result.filter((character) => read.includes(character)),
        read,
      );
      for (const [i, character] of result.entries()) {
        if (!added.includes(character)) continue;
        assert.ok(
          !/[木日，。]/.test(result[i - 1]?.text ?? '') || !/[木日，。]/.test(result[i + 1]?.text ?? ''),
        );
      }
    }),
  );
});

test('a line of one colour gains no spaces', () => {
  const line = drawn('abc');
  assert.equal(
    restored({ ...line, crop: { ...line.crop, data: new Uint8Array(line.crop.data.length) } }),
    'abc',
  );
});

test('a reading has no spaces at its ends, and its confidence is the mean of its characters', () => {
  const reading = readingOf([
    { text: ' ', confidence: 0.1, step: 0 },
    { text: 'a', confidence: 0.5, step: 1 },
    { text: ' ', confidence: 1, step: 2 },
    { text: 'b', confidence: 0.75, step: 3 },
    { text: '\u3000', confidence: 0.1, step: 4 },
  ]);
  assert.equal(reading.text, 'a b');
  assert.equal(reading.confidence, 0.75);
  assert.equal(reading.characters.length, 3);
  assert.deepEqual(readingOf([{ text: ' ', confidence: 1, step: 0 }]), {
    text: '',
    confidence: 0,
    characters: [],
  });
});

test('full-width marks become narrow in lines without ideographs only', () => {
  const line = (text: string) =>
    [...text].map((character, step) => ({ text: character, confidence: 1, step }));
  const join = (text: string) =>
    narrowForms(line(text))
      .map((character) => character.text)
      .join('');
  assert.equal(join('Bergen，（１２）'), 'Bergen,(12)');
  assert.equal(join('本机，（１２）'), '本机，（１２）');
});

test('crops of another height are measured in proportion', () => {
  const { crop, characters, steps } = drawn('the old bridge');
  const tall = new Uint8Array(crop.width * 2 * 96 * 3);
  for (let i = 0; i < tall.length; i++) {
    const column = Math.floor(i / 3) % (crop.width * 2);
    const row = Math.floor(i / 3 / (crop.width * 2));
    tall[i] = crop.data[((row >> 1) * crop.width + (column >> 1)) * 3] ?? 0;
  }
  const line = { crop: { width: crop.width * 2, height: 96, data: tall }, characters };
  const result = restoreSpaces(line.characters, line.crop, steps, steps * 16);
  assert.equal(result.map(({ text }) => text).join(''), 'the old bridge');
});

test('a line’s own word gaps decide: wide letter gaps of a typewriter face are none', () => {
  const distances = new Array<number>(7).fill(20);
  const at = (widths: readonly number[]) =>
    findWordGaps([...'abcdefgh'], widths, distances)
      .map(Number)
      .join('');
  assert.equal(at([3, 11, 3, 24, 3, 11, 3]), '0001000');
  assert.equal(at([3, 11, 3, 11, 3, 11, 3]), '0101010');
});
