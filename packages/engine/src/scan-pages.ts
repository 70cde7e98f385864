import { JobFailure } from '@glyphmill/contract/failure';
import type { Warning } from '@glyphmill/contract/job';
import { PageRangeError, selectPages } from '@glyphmill/contract/page-range';
import type { Decoder } from './decoder.ts';
import type { DecoderPool } from './decoder-pool.ts';
import { pageFailure } from './failure.ts';
import type { PageReader } from './page-reader.ts';
import type { Scan } from './scan.ts';

/** Decoding children that one document may use up: each may have cost a whole DECODE_TIMEOUT_SECONDS. */
const maxLostDecoders = 8;

type Document = Parameters<Decoder['open']>[0];

/** Pages that are still to be decoded when a decoding child was lost. */
interface Rest {
  numbers: readonly number[];
  /** The page at which the child crashed for the first time, which may have been the host's doing. */
  suspect?: number;
  lost?: JobFailure;
}

/**
 * Decodes a document's pages and hands their lines to the batcher. A page that cannot be decoded becomes an entry among
 * the others; where it ended its decoding child, a fresh one goes on behind it.
 */
export async function scanPages(
  document: Document,
  { decoders, reader, scan }: { decoders: DecoderPool; reader: PageReader; scan: Scan },
): Promise<void> {
  let rest = await decoders.use(scan.signal, async (decoder) => {
    scan.request.onBegin?.();
    const opened = await decoder.open(document, scan.signal);
    if (opened.frames > opened.pages) scan.warnings.push(firstFrameOnly(opened.frames));
    const numbers = pagesToRead(scan.request.options.pages, opened.pages);
    scan.begin(numbers.length);
    return decodePages({ numbers }, { decoder, reader, scan });
  });
  for (let lost = 1; rest.numbers.length > 0; lost += 1) {
    const left = rest;
    if (lost >= maxLostDecoders) return giveUp(left, scan);
    rest = await decoders.use(scan.signal, async (decoder) => {
      try {
        await decoder.open(document, scan.signal);
      } catch (error) {
        scan.signal.throwIfAborted();
        if (!(error instanceof JobFailure) || error.failure.retryable) throw error;
        // It took too long, which it did not before: for what was read meanwhile another child is tried.
        return { ...left, lost: error };
      }
      return decodePages(left, { decoder, reader, scan });
    });
  }
}

/** Resolves to what is left once the child is lost, or to nothing when all pages are through. */
async function decodePages(
  { numbers, suspect }: Rest,
  { decoder, reader, scan }: { decoder: Decoder; reader: PageReader; scan: Scan },
): Promise<Rest> {
  for (const [index, number] of numbers.entries()) {
    try {
      const found = await reader.findLines(number, { decoder, scan });
      scan.add(found.page, reader.readLines(found, scan));
    } catch (error) {
      scan.signal.throwIfAborted();
      if (decoder.alive) {
        const failure = pageFailure(error);
        if (failure === undefined) throw error;
        scan.addFailed(number, failure);
        continue;
      }
      if (!(error instanceof JobFailure)) throw error;
      const isFirstCrash = error.failure.retryable && number !== suspect;
      // Of a document of one page the attempts at the job are the second look.
      if (isFirstCrash && scan.pagesTotal === 1) throw error;
      if (isFirstCrash) return { numbers: numbers.slice(index), suspect: number, lost: error };
      scan.addFailed(number, error.failure);
      return { numbers: numbers.slice(index + 1), lost: error };
    }
  }
  return { numbers: [] };
}

function giveUp({ numbers, lost }: Rest, scan: Scan): void {
  if (lost === undefined) throw new Error('expected the failure of the last decoder');
  for (const number of numbers) {
    const message = `Not tried, since pages before it ended their decoder ${maxLostDecoders} times; split the document. The last: ${lost.message}`;
    scan.addFailed(number, { ...lost.failure, message });
  }
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
