import type { Status } from '@glyphmill/contract/job';
import type { Redis } from './connection.ts';
import { type JobRecord, parseRecord } from './job-record.ts';
import type { Keys } from './keys.ts';

export interface ListQuery {
  status?: Status | undefined;
  createdAfterMs?: number | undefined;
  createdBeforeMs?: number | undefined;
  cursor?: string | undefined;
  /** Records per answer, at most. */
  limit: number;
}

/** Names looked at for one answer; a rare status then gives a short page with a cursor instead of a long wait. */
const maxScanned = 1000;
const chunkSize = 100;

/** A tenant's jobs, newest first. The cursor is the id of the last job looked at: ids sort by their creation. */
export async function listRecords(
  redis: Redis,
  keys: Keys,
  query: ListQuery & { tenant: string },
): Promise<{ records: JobRecord[]; nextCursor: string | null }> {
  const records: JobRecord[] = [];
  const listKey = keys.tenantJobs(query.tenant);
  let offset = await startOf(redis, listKey, query);
  for (let scanned = 0; scanned < maxScanned; ) {
    const ids = await redis.zrevrangebyscore(
      listKey,
      query.createdBeforeMs ?? '+inf',
      query.createdAfterMs ?? '-inf',
      'LIMIT',
      offset,
      chunkSize,
    );
    for (const [index, record] of (await readRecords(redis, keys, ids)).entries()) {
      if (record === undefined || (query.status !== undefined && record.status !== query.status)) continue;
      records.push(record);
      if (records.length < query.limit) continue;
      const more = index + 1 < ids.length || ids.length === chunkSize;
      return { records, nextCursor: more ? record.id : null };
    }
    if (ids.length < chunkSize) return { records, nextCursor: null };
    offset += ids.length;
    scanned += ids.length;
    if (scanned >= maxScanned) return { records, nextCursor: ids.at(-1) ?? null };
  }
  return { records, nextCursor: null };
}

/** How many names of the range stand before the page that the cursor asks for. */
async function startOf(
  redis: Redis,
  listKey: string,
  { cursor, createdBeforeMs }: ListQuery,
): Promise<number> {
  if (cursor === undefined) return 0;
  const rank = await redis.zrevrank(listKey, cursor);
  if (rank === null)
    throw new RangeError('the cursor names no job of this list; begin again without a cursor');
  const skipped =
    createdBeforeMs === undefined ? 0 : await redis.zcount(listKey, `(${createdBeforeMs}`, '+inf');
  return rank - skipped + 1;
}

export async function readRecords(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
): Promise<(JobRecord | undefined)[]> {
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hgetall(keys.record(id));
  const answers = (await pipeline.exec()) ?? [];
  return answers.map(([error, hash]) => {
    if (error) throw error;
    return parseRecord(stringHash(hash));
  });
}

/** The answer to HGETALL inside a pipeline. */
export function stringHash(answer: unknown): Record<string, string> {
  if (typeof answer !== 'object' || answer === null) throw new Error('expected a hash from HGETALL');
  return Object.fromEntries(Object.entries(answer).map(([name, value]) => [name, String(value)]));
}
