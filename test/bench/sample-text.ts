import { optionsSchema } from '@glyphmill/contract/request';
import { assemblePage } from '@glyphmill/core/assemble';
import type { Reading } from '@glyphmill/core/spacing';
import { characterErrorRate } from '@glyphmill/core/text-accuracy';
import { type Sample, type SampleScript, sampleText } from '../fixtures/sample-list.ts';
import type { SampleDocument } from './sample-lines.ts';
import { sum } from './statistics.ts';

export interface Accuracy {
  documents: number;
  characters: number;
  /** Of all documents' characters together. */
  characterErrorRate: number;
  /** Mean over the documents, in which a sample of one line weighs as much as a page. */
  meanOfDocuments: number;
}

interface ReadDocument {
  script: SampleScript;
  characters: number;
  characterErrorRate: number;
}

/**
 * How well the documents were read, by script: their lines' readings, in the order of `linesOf`, put together as the
 * worker does. Throws unless there is one for each line.
 */
export function accuracyOf(
  documents: readonly SampleDocument[],
  readings: readonly Reading[],
): Record<'all' | SampleScript, Accuracy> {
  let next = 0;
  const read = documents.map((document): ReadDocument => {
    const count = sum(document.pages.map(({ lines }) => lines.length));
    const own = readings.slice(next, next + count);
    next += count;
    return readDocument(document, own);
  });
  if (next !== readings.length) throw new Error(`expected ${next} readings, got ${readings.length}`);
  const of = (script: SampleScript) => totalOf(read.filter((each) => each.script === script));
  return { all: totalOf(read), latin: of('latin'), chinese: of('chinese'), mixed: of('mixed') };
}

function readDocument({ sample, pages }: SampleDocument, readings: readonly Reading[]): ReadDocument {
  let next = 0;
  const texts = pages.map(({ page, lines, timings }) => {
    const read = lines.flatMap(({ quad }) => {
      const reading = readings[next++];
      return reading === undefined ? [] : [{ quad, reading }];
    });
    const all = { ...timings, recognizeMs: 0 };
    return assemblePage({ ...page, lines: read, timings: all }, optionsSchema.parse({})).page.text;
  });
  return {
    script: sample.script,
    characters: charactersOf(sample),
    characterErrorRate: characterErrorRate(sampleText(sample), texts.join('\f')),
  };
}

/** What `characterErrorRate` divides by. */
function charactersOf(sample: Sample): number {
  return [...sampleText(sample).trim().replace(/\s+/gu, ' ')].length;
}

function totalOf(read: readonly ReadDocument[]): Accuracy {
  const characters = sum(read.map((each) => each.characters));
  const wrong = sum(read.map((each) => each.characters * each.characterErrorRate));
  return {
    documents: read.length,
    characters,
    characterErrorRate: wrong / characters,
    meanOfDocuments: sum(read.map((each) => each.characterErrorRate)) / read.length,
  };
}
