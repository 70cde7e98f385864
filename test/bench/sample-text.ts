import { optionsSchema } from '@glyphmill/contract/request';
import { assemblePage } from '@glyphmill/core/assemble';
import type { Reading } from '@glyphmill/core/spacing';
import { characterErrorRate, wordF1 } from '@glyphmill/core/text-accuracy';
import { type SampleScript, sampleText } from '../fixtures/sample-list.ts';
import type { SampleDocument } from './sample-lines.ts';

export interface Accuracy {
  documents: number;
  /** Means over the documents. */
  characterErrorRate: number;
  wordF1: number;
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
  const options = optionsSchema.parse({});
  const found = documents.map(({ sample, pages }) => {
    const texts = pages.map(({ page, lines, timings }) => {
      const read = lines.flatMap(({ quad }) => {
        const reading = readings[next++];
        return reading === undefined ? [] : [{ quad, reading }];
      });
      const all = { ...timings, recognizeMs: 0 };
      return assemblePage({ ...page, lines: read, timings: all }, options).page.text;
    });
    const [truth, text] = [sampleText(sample), texts.join('\f')];
    return {
      script: sample.script,
      characterErrorRate: characterErrorRate(truth, text),
      wordF1: wordF1(truth, text),
    };
  });
  if (next !== readings.length) throw new Error(`expected ${next} readings, got ${readings.length}`);
  const meanOf = (chosen: typeof found): Accuracy => {
    const mean = (key: 'characterErrorRate' | 'wordF1') =>
      chosen.reduce((total, each) => total + each[key], 0) / chosen.length;
    return {
      documents: chosen.length,
      characterErrorRate: mean('characterErrorRate'),
      wordF1: mean('wordF1'),
    };
  };
  const of = (script: SampleScript) => meanOf(found.filter((each) => each.script === script));
  return { all: meanOf(found), latin: of('latin'), chinese: of('chinese'), mixed: of('mixed') };
}
