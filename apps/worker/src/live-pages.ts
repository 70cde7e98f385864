import { setMaxListeners } from 'node:events';
import { pageKey } from '@glyphmill/contract/object-key';
import type { Page } from '@glyphmill/contract/result';
import { Budget } from '@glyphmill/engine/budget';
import type { ScanProgress } from '@glyphmill/engine/scan';
import type { PagesProgress } from '@glyphmill/queue/attempt';
import type { ObjectStore } from '@glyphmill/storage/object-store';

/** The pages of one attempt, on their way to where they can be read before the job ends. */
export interface LivePages {
  /** Writes the page that has just been read, if any, and then reports how far the attempt is. */
  progress(progress: ScanProgress): void;
  /** Drops what is not on the wire yet; nothing is reported from then on. */
  close(): void;
}

export interface PageWriter {
  open(jobId: string, report: (pages: PagesProgress) => void): LivePages;
  /** Resolves once nothing of this job is on the wire: a write that was given up may land all the same. */
  settled(jobId: string): Promise<void>;
}

export interface PageWriterOptions {
  store: ObjectStore;
  systemBucket: string;
  onWarning: (message: string, facts: { jobId: string; key: string; error: unknown }) => void;
}

/**
 * Pages of one worker that are on the wire at once. Others wait as the references that the attempt holds anyway, so
 * that memory is bounded by this many pages as JSON.
 */
const maxWrites = 8;
/** A page that takes longer is soon to be had with the result. */
const writeTimeoutMs = 5000;
/** Pages of a document that the store may refuse: after that it is not asked for this document again. */
const maxFailures = 3;

/**
 * Makes pages readable while their job runs. Only for people to look at: what does not work here is warned of, and
 * holds up neither the pages nor the job.
 */
export function createPageWriter({ store, systemBucket, onWarning }: PageWriterOptions): PageWriter {
  const places = new Budget(maxWrites);
  /** What is on the wire, by job. */
  const onWire = new Map<string, Set<Promise<unknown>>>();

  return { open, settled: async (jobId) => void (await Promise.allSettled(onWire.get(jobId) ?? [])) };

  function open(jobId: string, report: (pages: PagesProgress) => void): LivePages {
    const ending = new AbortController();
    // Every page that waits for its turn listens to it.
    setMaxListeners(0, ending.signal);
    const counts = { pagesTotal: 0, pagesDone: 0, pagesFailed: 0, megapixels: 0 };
    let failures = 0;

    return {
      progress({ pagesTotal, megapixels, page }) {
        Object.assign(counts, { pagesTotal, megapixels });
        if (page === undefined) return report({ ...counts });
        void keep(page);
      },
      close: () => ending.abort(),
    };

    /** Only a page that can be read counts as done, but for one that cannot be written. */
    async function keep(page: Page): Promise<void> {
      const { number, status } = page;
      const isKept = await write(page);
      if (ending.signal.aborted) return;
      if (status === 'failed') counts.pagesFailed += 1;
      else counts.pagesDone += 1;
      report({ ...counts, ...(isKept ? { kept: { number, status } } : {}) });
    }

    async function write(page: Page): Promise<boolean> {
      try {
        const leave = await places.take(1, ending.signal);
        try {
          return failures < maxFailures && (await onTheWire(put(page)));
        } finally {
          leave();
        }
      } catch (error) {
        if (ending.signal.aborted) return false;
        failures += 1;
        const key = pageKey(jobId, page.number);
        onWarning('a page cannot be read before its job ends', { jobId, key, error });
        return false;
      }
    }

    async function put(page: Page): Promise<true> {
      await store.write(
        { bucket: systemBucket, key: pageKey(jobId, page.number) },
        Buffer.from(JSON.stringify(page)),
        { contentType: 'application/json', signal: AbortSignal.timeout(writeTimeoutMs) },
      );
      return true;
    }

    async function onTheWire<T>(write: Promise<T>): Promise<T> {
      const writes = onWire.get(jobId) ?? new Set();
      onWire.set(jobId, writes.add(write));
      try {
        return await write;
      } finally {
        writes.delete(write);
        if (writes.size === 0) onWire.delete(jobId);
      }
    }
  }
}
