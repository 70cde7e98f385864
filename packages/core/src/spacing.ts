import { type Character, meanConfidence } from './ctc.ts';
import { type PaperGap, paperGaps } from './paper.ts';
import type { LineCrop } from './rectify.ts';
import { findWordGaps, fittedHeight } from './word-gaps.ts';

/** What was read from one line. Its confidence is the mean of its characters', 0 for an empty line. */
export interface Reading {
  readonly text: string;
  readonly confidence: number;
  readonly characters: readonly { readonly text: string; readonly confidence: number }[];
}

/** The reading of a line's characters: without spaces at its ends, and in the forms of `narrowForms`. */
export function readingOf(characters: readonly Character[]): Reading {
  const first = characters.findIndex(isVisible);
  const visible = first < 0 ? [] : characters.slice(first, characters.findLastIndex(isVisible) + 1);
  const kept = narrowForms(visible);
  return {
    text: kept.map(({ text }) => text).join(''),
    confidence: meanConfidence(kept),
    characters: kept.map(({ text, confidence }) => ({ text, confidence })),
  };
}

/**
 * The characters with the spaces that the recogniser left out between words, told by the paper that shows between
 * them against the line's own letter spacing. `steps` time steps span `bucketWidth` pixels of the padded crop.
 * Only spaces are added, and none between characters of scripts that use no spaces.
 */
export function restoreSpaces(
  characters: readonly Character[],
  crop: LineCrop,
  steps: number,
  bucketWidth: number,
): Character[] {
  const visible = narrowForms(characters.filter(isVisible));
  if (visible.length < 2) return [...characters];
  const scale = fittedHeight / crop.height;
  const centres = inkCentres(visible, (scale * bucketWidth) / steps);
  const gaps = paperGaps(crop).map(({ start, end }) => ({ start: scale * start, end: scale * end }));
  const distances = centres.slice(1).map((centre, i) => centre - (centres[i] ?? 0));
  const texts = visible.map(({ text }) => text);
  const parts = findWordGaps(texts, gapWidths(centres, gaps), distances);
  const result: Character[] = [];
  let pair = -1;
  for (const character of characters) {
    const before = result.at(-1);
    if (isVisible(character)) {
      if (before && isVisible(before) && parts[pair]) result.push(spaceBetween(before, character));
      pair++;
    }
    result.push(character);
  }
  return result;
}

/**
 * Full-width letters, digits and marks in their narrow forms in lines without ideographs: the recogniser takes the
 * comma of a typewriter face for the Chinese one.
 */
export function narrowForms(characters: readonly Character[]): readonly Character[] {
  if (characters.some(({ text }) => eastAsian.test(text))) return characters;
  return characters.map((character) =>
    fullWidth.test(character.text) ? { ...character, text: character.text.normalize('NFKC') } : character,
  );
}

const eastAsian = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
const fullWidth = /^[\uff01-\uff5e]$/;

function isVisible({ text }: Character): boolean {
  return text.trim() !== '';
}

function spaceBetween(before: Character, after: Character): Character {
  return {
    text: ' ',
    confidence: Math.min(before.confidence, after.confidence),
    step: (before.step + after.step) / 2,
  };
}

/** How far each repeat of a character lies right of its ink: it needs a blank step before it, narrow ones lack the room. */
const repeatShift = 5;
const nearSteps = 2.5;

/** Where the characters' ink stands, in pixels at the fitted height. */
function inkCentres(visible: readonly Character[], pixelsPerStep: number): number[] {
  let repeats = 0;
  return visible.map(({ text, step }, i) => {
    const before = visible[i - 1];
    repeats = before?.text === text && step - before.step <= nearSteps ? repeats + 1 : 0;
    return (step + 0.5) * pixelsPerStep - repeats * repeatShift;
  });
}

/** For each pair of neighbours the widest gap whose middle lies between their centres, 0 where no paper shows. */
function gapWidths(centres: readonly number[], gaps: readonly PaperGap[]): number[] {
  const widths = new Array<number>(Math.max(0, centres.length - 1)).fill(0);
  let pair = 0;
  for (const { start, end } of gaps) {
    const middle = (start + end) / 2;
    while (pair < widths.length && (centres[pair + 1] ?? 0) <= middle) pair++;
    if (pair < widths.length && (centres[pair] ?? 0) < middle)
      widths[pair] = Math.max(widths[pair] ?? 0, end - start);
  }
  return widths;
}
