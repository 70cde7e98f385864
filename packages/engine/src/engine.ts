import type { Result } from '@glyphmill/contract/result';
import { assembleResult } from '@glyphmill/core/assemble';
import type { Models } from '@glyphmill/inference/models';
import { runtime } from '@glyphmill/inference/runtime';
import { Budget } from './budget.ts';
import { openDecoderPool } from './decoder-pool.ts';
import { createPageReader } from './page-reader.ts';
import { type ReadRequest, Scan } from './scan.ts';
import { scanPages } from './scan-pages.ts';
import { inStage } from './stage-observer.ts';

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
  /**
   * Resolves when every line is read; pages that cannot be read are among its pages as failed. Throws a JobFailure
   * where that is all of them or the document has to be tried again, or the reason of the request's signal.
   */
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

/** Names the code that reads documents; another may read the same differently. */
export const serviceVersion = 'glyphmill/0.1.0';

export function openEngine(options: EngineOptions): Engine {
  const { models, maxPagePixels, maxPages } = options;
  const decoders = openDecoderPool({
    decoders: options.decoders,
    deadlineMs: options.decodeDeadlineMs,
    memoryBytes: decoderBaseBytes + decoderBytesPerPixel * maxPagePixels,
  });
  const inFlight = new Budget(maxBytesInFlight);
  const reader = createPageReader({ models, inFlight });

  return {
    async scan(bytes, request) {
      const scan = new Scan(request);
      try {
        await scanPages({ bytes, maxPagePixels, maxPages }, { decoders, reader, scan });
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
      const { served: models, request, warnings, microBatches } = scan;
      const engine = { service: serviceVersion, runtime, models, options: request.options };
      return inStage(request.observer, { stage: 'assemble', page: null }, async () =>
        assembleResult({ jobId, engine, pages, warnings, microBatches }),
      );
    },
  };
}
