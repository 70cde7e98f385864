import { readFile } from 'node:fs/promises';
import { optionsSchema } from '@glyphmill/contract/request';
import type { LineCrop } from '@glyphmill/core/rectify';
import { Budget } from '@glyphmill/engine/budget';
import { openDecoderPool } from '@glyphmill/engine/decoder-pool';
import { createPageReader, type FoundLines } from '@glyphmill/engine/page-reader';
import { Scan } from '@glyphmill/engine/scan';
import { openModels } from '@glyphmill/inference/models';
import { loadSamples, type Sample, samplesFolder } from '../fixtures/sample-list.ts';

/** A sample document with the lines that were found on its pages, in the order in which a worker takes them. */
export interface SampleDocument {
  sample: Sample;
  pages: FoundLines[];
}

/** Those of the worker. */
const decoderLimits = { decoders: 1, deadlineMs: 20_000, memoryBytes: 1_300_000_000 };
const documentLimits = { maxPagePixels: 100e6, maxPages: 3000 };
/** All lines are kept: they must not wait for each other to be read. */
const allBytes = 1e9;
/** Of the samples a quick run looks at, every so many-th. */
const quickStep = 6;

/** Decodes the samples, finds their lines and cuts them out with the worker's own code. */
export async function cutSampleLines({
  repository,
  quick,
}: {
  repository: string;
  quick: boolean;
}): Promise<SampleDocument[]> {
  const log = { info() {}, warn: console.error, error: console.error };
  const instances = { detect: 1, recognize: 1 };
  const models = await openModels({ repository, provider: 'cpu', instances, threads: 1, log });
  const decoders = openDecoderPool(decoderLimits);
  const reader = createPageReader({ models, inFlight: new Budget(allBytes) });
  try {
    const documents: SampleDocument[] = [];
    for (const sample of loadSamples().filter((_, i) => !quick || i % quickStep === 0)) {
      const bytes = await readFile(`${samplesFolder}${sample.file}`);
      const signal = new AbortController().signal;
      const scan = new Scan({ mode: sample.mode, options: optionsSchema.parse({}), signal });
      const pages = await decoders.use(signal, async (decoder) => {
        const opened = await decoder.open({ bytes, ...documentLimits }, signal);
        const found: FoundLines[] = [];
        for (let number = 1; number <= opened.pages; number++)
          found.push(await reader.findLines(number, { decoder, scan }));
        return found;
      });
      documents.push({ sample, pages });
    }
    return documents;
  } finally {
    decoders.close();
    await models.close();
  }
}

/** All lines of the documents, in order. */
export function linesOf(documents: readonly SampleDocument[]): LineCrop[] {
  return documents.flatMap(({ pages }) => pages.flatMap(({ lines }) => lines.map(({ crop }) => crop)));
}

/** Lines that fill a tensor of `width` as its ladder's lines do: at least four fifths of it. Throws where there is none. */
export function linesOfWidth(lines: readonly LineCrop[], width: number): LineCrop[] {
  const found = lines.filter((line) => line.width <= width && line.width > 0.8 * width);
  if (found.length > 0) return found;
  throw new Error(
    `expected lines of ${Math.ceil(0.8 * width)} to ${width} pixels among the samples, found none`,
  );
}
