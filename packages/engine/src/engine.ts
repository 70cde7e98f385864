import { JobFailure } from '@glyphmill/contract/failure';
import type { Warning } from '@glyphmill/contract/job';
import type { Result } from '@glyphmill/contract/result';
import { assembleResult } from '@glyphmill/core/assemble';
import type { Models } from '@glyphmill/inference/models';
import { runtime } from '@glyphmill/inference/runtime';
import { Budget } from './budget.ts';
import type { Decoder } from './decoder.ts';
import { openDecoderPool } from './decoder-pool.ts';
import { PageRangeError, selectPages } from './page-range.ts';
import { createPageReader } from './page-reader.ts';
import { type ReadRequest, Scan } from './scan.ts';

export interface EngineOptions {
  models: Models;
  /** Decoding children; each has one document in hand. */
  decoders: number;
  /** Longest time for decoding one page. */
  decodeDeadlineMs: number;
  maxPagePixels: number;
  maxPages: number;
}

/** A document whose pages are decoded and whose lines are on their way through the micro-batches. */
export interface ScannedDocument {
  /** Resolves when every line is read. Throws a JobFailure, or the reason of the request's signal. */
  result(jobId: string | null): Promise<Result>;
}

export interface Engine {
  /**
   * Decodes a document and hands its lines to the batcher. Its bytes are not needed any more when this
   * resolves, so that a document waiting for its lines holds none. Throws as `result` does.
   */
  scan(bytes: Uint8Array, request: ReadRequest): Promise<ScannedDocument>;
  /** Bytes of line crops that wait for a micro-batch or are in one. */
  readonly bytesInFlight: number;
  close(): void;
}

/**
 * Crops handed to the batcher and not read yet, over all documents: some 2,000 lines of usual width.
 * When they are used up decoding waits, and with it the queue.
 */
const maxBytesInFlight = 96_000_000;
/** Memory of a decoding child: node and libvips, and a page with what decoding holds of it in between. */
const decoderBaseBytes = 500_000_000;
const decoderBytesPerPixel = 8;

const serviceVersion = 'glyphmill/0.1.0';

export function openEngine(options: EngineOptions): Engine {
  const { models, maxPagePixels, maxPages } = options;
  const decoders = openDecoderPool({
    decoders: options.decoders,
    deadlineMs: options.decodeDeadlineMs,
    memoryBytes: decoderBaseBytes + decoderBytesPerPixel * maxPagePixels,
  });
  const inFlight = new Budget(maxBytesInFlight);
  const reader = createPageReader({ models, inFlight });

  async function scanPages(
    bytes: Uint8Array,
    { decoder, scan }: { decoder: Decoder; scan: Scan },
  ): Promise<void> {
    const opened = await decoder.open({ bytes, maxPagePixels, maxPages }, scan.signal);
    if (opened.frames > opened.pages) scan.warnings.push(firstFrameOnly(opened.frames));
    const numbers = pagesToRead(scan.request.options.pages, opened.pages);
    scan.begin(numbers.length);
    for (const number of numbers) {
      const found = await reader.findLines(number, { decoder, scan });
      scan.add(reader.readLines(found, scan), found.page);
    }
  }

  return {
    async scan(bytes, request) {
      const scan = new Scan(request);
      try {
        await decoders.use(scan.signal, (decoder) => {
          request.onBegin?.();
          return scanPages(bytes, { decoder, scan });
        });
      } catch (error) {
        scan.fail(error);
        await scan.pages();
      }
      return scannedDocument(scan);
    },
    get bytesInFlight() {
      return inFlight.used;
    },
    close: () => decoders.close(),
  };
}

/** Made out here: in the scope of `scan` it would keep the document's bytes for as long as it lives. */
function scannedDocument(scan: Scan): ScannedDocument {
  return {
    async result(jobId) {
      const pages = await scan.pages();
      const { served: models, request, warnings } = scan;
      const engine = { service: serviceVersion, runtime, models, options: request.options };
      return assembleResult({ jobId, engine, pages, warnings });
    },
  };
}

function pagesToRead(range: string | undefined, total: number): number[] {
  try {
    return selectPages(range, total);
  } catch (error) {
    if (!(error instanceof PageRangeError)) throw error;
    const failure = {
      code: 'invalid-page-range',
      message: error.message,
      retryable: false,
      phase: 'decode',
    } as const;
    throw new JobFailure(failure, { cause: error });
  }
}

function firstFrameOnly(frames: number): Warning {
  return {
    code: 'first-frame-only',
    message: `The image is an animation of ${frames} frames; the first was read.`,
  };
}
