import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

/** A page that can be read although its job has not ended, or has ended without a result. */
export interface KeptPage {
  number: number;
  status: 'succeeded' | 'failed';
}

/** What two bits say of a page, after those of the pages before it; 0: it cannot be read (yet). */
const marks = { succeeded: 1, failed: 2 } as const;

export function markOf({ status }: KeptPage): number {
  return marks[status];
}

/** The job's kept pages by their number. */
export async function readKeptPages(
  redis: Redis,
  keys: Keys,
  jobId: string,
): Promise<ReadonlyMap<number, KeptPage['status']>> {
  const bits = (await redis.getBuffer(keys.pages(jobId))) ?? Buffer.alloc(0);
  const pages = new Map<number, KeptPage['status']>();
  for (let number = 1; number < bits.length * 4; number += 1) {
    const mark = ((bits[number >> 2] ?? 0) >> (6 - 2 * (number & 3))) & 3;
    if (mark === marks.succeeded) pages.set(number, 'succeeded');
    else if (mark === marks.failed) pages.set(number, 'failed');
  }
  return pages;
}
