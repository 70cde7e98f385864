import { pagesPrefix } from '@glyphmill/contract/object-key';
import type { AttemptReport } from '@glyphmill/queue/job-run';
import type { ObjectStore } from '@glyphmill/storage/object-store';
import type { PageWriter } from './live-pages.ts';

const removeTimeoutMs = 10_000;

/**
 * Removes what a job that was read has left in the system bucket: a document that came with the request, unless it is
 * to be read again for its failed pages, and the pages written one by one, which the result has. Never throws.
 */
export async function removeLeftovers(
  { attempt: { jobId, task }, ended, pages = 0 }: AttemptReport,
  options: {
    store: Pick<ObjectStore, 'remove' | 'removeAll'>;
    pageWriter: Pick<PageWriter, 'settled'>;
    systemBucket: string;
    onWarning: (message: string, facts: { jobId: string; error: unknown }) => void;
  },
): Promise<void> {
  const { store, pageWriter, systemBucket, onWarning } = options;
  const removing: Promise<void>[] = [];
  const signal = AbortSignal.timeout(removeTimeoutMs);
  if (ended === 'succeeded' && task.inline !== null) removing.push(store.remove(task.document, { signal }));
  if ((ended === 'succeeded' || ended === 'partial') && pages > 1) {
    const pages = { bucket: systemBucket, prefix: pagesPrefix(jobId) };
    removing.push(pageWriter.settled(jobId).then(() => store.removeAll(pages, { signal })));
  }
  for (const removal of await Promise.allSettled(removing)) {
    if (removal.status === 'fulfilled') continue;
    onWarning('objects of a job stay until the bucket’s lifecycle rule takes them', {
      jobId,
      error: removal.reason,
    });
  }
}
