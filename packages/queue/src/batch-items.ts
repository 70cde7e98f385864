import type { Status } from '@glyphmill/contract/job';
import { batchJobIds } from './batch-job-id.ts';
import type { Redis } from './connection.ts';
import type { JobRecord } from './job-record.ts';
import type { Keys } from './keys.ts';
import { readRecords } from './list.ts';

export interface BatchItemsQuery {
  status?: Status | undefined;
  createdAfterMs?: number | undefined;
  createdBeforeMs?: number | undefined;
  cursor?: string | undefined;
  /** Records per answer, at most. */
  limit: number;
}

/** Places looked at for one answer; a rare status then gives a short page with a cursor instead of a long wait. */
const maxScanned = 1000;
const chunkSize = 100;

/**
 * The jobs of a batch by their places, `ascending` or the last first. No list of them is kept: a job's id follows
 * from its place. The cursor is the place to go on at. Throws RangeError on one that is none of ours.
 */
export async function listBatchJobs(
  redis: Redis,
  keys: Keys,
  {
    batch,
    order,
    query,
  }: { batch: { id: string; jobs: number }; order: 'ascending' | 'descending'; query: BatchItemsQuery },
): Promise<{ records: JobRecord[]; nextCursor: string | null }> {
  const records: JobRecord[] = [];
  const step = order === 'ascending' ? 1 : -1;
  const isPlace = (place: number) => place >= 0 && place < batch.jobs;
  const first = query.cursor === undefined ? (step > 0 ? 0 : batch.jobs - 1) : parseCursor(query.cursor);
  for (let scanned = 0; isPlace(first + step * scanned); scanned += chunkSize) {
    const start = first + step * scanned;
    if (scanned >= maxScanned) return { records, nextCursor: `${start}` };
    const end = step > 0 ? Math.min(batch.jobs, start + chunkSize) : Math.max(-1, start - chunkSize);
    const ids =
      step > 0
        ? batchJobIds(batch.id, { from: start, to: end })
        : batchJobIds(batch.id, { from: end + 1, to: start + 1 }).reverse();
    for (const [offset, record] of (await readRecords(redis, keys, ids)).entries()) {
      if (record === undefined || !isWanted(record, query)) continue;
      records.push(record);
      if (records.length < query.limit) continue;
      const next = start + step * (offset + 1);
      return { records, nextCursor: isPlace(next) ? `${next}` : null };
    }
  }
  return { records, nextCursor: null };
}

function isWanted(
  { status, createdAtMs }: JobRecord,
  { status: wanted, createdAfterMs, createdBeforeMs }: BatchItemsQuery,
): boolean {
  if (wanted !== undefined && status !== wanted) return false;
  return createdAtMs >= (createdAfterMs ?? 0) && createdAtMs <= (createdBeforeMs ?? Number.POSITIVE_INFINITY);
}

function parseCursor(cursor: string): number {
  if (!/^\d{1,9}$/.test(cursor))
    throw new RangeError('the cursor is none of this list; begin again without one');
  return Number(cursor);
}
