import { setMaxListeners } from 'node:events';
import type { SucceededPage } from '@glyphmill/contract/result';
import { assemblePage } from '@glyphmill/core/assemble';
import type { Quad } from '@glyphmill/core/geometry';
import type { LineCrop } from '@glyphmill/core/rectify';
import { scaleRegions } from '@glyphmill/core/regions';
import type { Models } from '@glyphmill/inference/models';
import type { Budget } from './budget.ts';
import type { Decoder } from './decoder.ts';
import { atPage } from './failure.ts';
import type { Scan } from './scan.ts';
import { inStage, type Stage } from './stage-observer.ts';

export interface PageReader {
  /** Decodes a page, finds its lines and cuts them out: all that needs the decoding child. */
  findLines(number: number, context: { decoder: Decoder; scan: Scan }): Promise<FoundLines>;
  /** Reads the lines in micro-batches shared with other documents. */
  readLines(found: FoundLines, scan: Scan): Promise<SucceededPage>;
}

export interface FoundLines {
  page: { number: number; width: number; height: number; rotation: number };
  lines: { quad: Quad; crop: LineCrop }[];
  timings: { decodeMs: number; detectMs: number };
  /** Gives back the lines' share of the bytes in flight. */
  release: () => void;
}

export function createPageReader({ models, inFlight }: { models: Models; inFlight: Budget }): PageReader {
  const size = models.lineSize;
  return {
    async findLines(number, { decoder, scan }) {
      const { signal, request } = scan;
      const stage = stagesOf(number, scan);
      const clock = stopwatch();
      const maxSideLength = Math.min(request.options.maxSideLength, models.maxPageSide);
      const decoded = await stage('decode', () => decoder.page({ number, maxSideLength }, signal));
      const { detectorInput, width, height, rotation } = decoded;
      const page = { number, width, height, rotation };
      const decodeMs = clock();

      if (request.mode === 'line') {
        const { crops } = await stage('crop', () => decoder.whole(size, signal));
        const release = await inFlight.take(bytesOf(crops), signal);
        const lines = crops.map((crop) => ({ quad: wholePage(page), crop }));
        return { page, lines, release, timings: { decodeMs: decodeMs + clock(), detectMs: 0 } };
      }

      const { regions } = await stage('detect', async ({ owner, ranIn }) => {
        const found = await atPage(number, 'detect', () =>
          models.detect(detectorInput, { signal, ...(owner !== undefined && { owner }) }),
        );
        scan.note(found.served);
        ranIn(found.served.microBatch.id);
        return found;
      });
      const scaled = scaleRegions(regions, width / detectorInput.width, height / detectorInput.height, page);
      const detectMs = clock();

      const quads = scaled.map(({ quad }) => quad);
      const { crops } = await stage('crop', () => decoder.crop({ quads, ...size }, signal));
      const lines = crops.flatMap((crop, index) => {
        const quad = quads[index];
        return quad === undefined ? [] : [{ quad, crop }];
      });
      const cropMs = clock();
      const release = await inFlight.take(bytesOf(crops), signal);
      return { page, lines, release, timings: { decodeMs: decodeMs + cropMs, detectMs } };
    },

    async readLines({ page, lines, timings, release }, scan) {
      const clock = stopwatch();
      const version = scan.request.modelVersion;
      // Once one line has failed, the page has: its other lines wait for nobody.
      const own = new AbortController();
      const signal = AbortSignal.any([scan.signal, own.signal]);
      setMaxListeners(0, signal);
      const readLine = async ({ quad, crop }: FoundLines['lines'][number], { owner, ranIn }: Running) => {
        const { reading, served } = await models.recognize(crop, {
          signal,
          ...(version !== undefined && { version }),
          ...(owner !== undefined && { owner }),
        });
        scan.note(served);
        ranIn(served.microBatch.id);
        return { quad, reading, microBatch: served.microBatch.id };
      };
      let read: Promise<unknown>[] = [];
      try {
        const readings = await stagesOf(page.number, scan)('recognize', (running) => {
          const reading = lines.map((line) => readLine(line, running));
          read = reading;
          return atPage(page.number, 'recognize', () => Promise.all(reading));
        });
        const pageTimings = rounded({ ...timings, recognizeMs: clock() });
        const assembled = assemblePage(
          { ...page, lines: readings, timings: pageTimings },
          scan.request.options,
        );
        if (assembled.dropped > 0) {
          scan.warnings.push({
            code: 'lines-below-min-confidence',
            message: `${assembled.dropped} lines were read with less than the confidence asked for and left out.`,
            page: page.number,
          });
        }
        return assembled.page;
      } finally {
        own.abort();
        await Promise.allSettled(read);
        release();
      }
    },
  };
}

type Running = Parameters<Parameters<typeof inStage>[2]>[0];

/** Does the stages of one page in sight of whoever observes the document. */
function stagesOf(page: number, { request: { observer } }: Scan) {
  return <T>(stage: Stage, work: (running: Running) => Promise<T>) =>
    inStage(observer, { stage, page }, work);
}

/** Milliseconds since the last call, or since it was made. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const since = last;
    last = performance.now();
    return last - since;
  };
}

function bytesOf(crops: readonly LineCrop[]): number {
  return crops.reduce((sum, { data }) => sum + data.length, 0);
}

function wholePage({ width, height }: { width: number; height: number }): Quad {
  return [0, 0, width, 0, width, height, 0, height];
}

function rounded(timings: SucceededPage['timings']): SucceededPage['timings'] {
  const { decodeMs, detectMs, recognizeMs } = timings;
  const tenths = (value: number) => Math.round(value * 10) / 10;
  return { decodeMs: tenths(decodeMs), detectMs: tenths(detectMs), recognizeMs: tenths(recognizeMs) };
}
