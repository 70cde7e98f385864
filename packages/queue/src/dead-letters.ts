import type { FailureCode } from '@glyphmill/contract/failure';
import type { Redis } from './connection.ts';
import type { JobRecord } from './job-record.ts';
import type { Keys } from './keys.ts';
import { readRecords } from './list.ts';

export interface DeadLetterQuery {
  tenant?: string | undefined;
  code?: FailureCode | undefined;
  failedAfterMs?: number | undefined;
  failedBeforeMs?: number | undefined;
  cursor?: string | undefined;
  /** Jobs per answer, at most. */
  limit: number;
}

interface Entry {
  timeMs: number;
  /** `tenant\njob` */
  member: string;
}

/** Names looked at for one answer; a rare code then gives a short page with a cursor instead of a long wait. */
const maxScanned = 2000;
const chunkSize = 100;

/** Failed jobs of all tenants, the latest first. Throws RangeError on a cursor that is none of ours. */
export async function listDeadLetters(
  redis: Redis,
  keys: Keys,
  query: DeadLetterQuery,
): Promise<{ records: JobRecord[]; nextCursor: string | null }> {
  const records: JobRecord[] = [];
  const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
  for (let scanned = 0; scanned < maxScanned; scanned += chunkSize) {
    const entries = await readChunk(redis, keys, { query, after, offset: scanned });
    const wanted = entries.filter((entry) => isAfter(entry, after) && isOf(entry, query.tenant));
    const found = await readRecords(
      redis,
      keys,
      wanted.map(({ member }) => member.split('\n')[1] ?? ''),
    );
    for (const [index, record] of found.entries()) {
      const entry = wanted[index];
      if (record?.status !== 'failed' || entry === undefined) continue;
      if (query.code !== undefined && record.failure?.code !== query.code) continue;
      records.push(record);
      if (records.length === query.limit) return { records, nextCursor: cursorOf(entry) };
    }
    const last = entries.at(-1);
    if (last === undefined || entries.length < chunkSize) break;
    if (scanned + chunkSize >= maxScanned) return { records, nextCursor: cursorOf(last) };
  }
  return { records, nextCursor: null };
}

/** Names of jobs that are forgotten meanwhile may be among them until they are swept. */
export async function countDeadLetters(
  redis: Redis,
  keys: Keys,
): Promise<{ kept: number; lastHour: number }> {
  const [kept, lastHour] = await Promise.all([
    redis.zcard(keys.deadLetters),
    redis.zcount(keys.deadLetters, Date.now() - 3_600_000, '+inf'),
  ]);
  return { kept, lastHour };
}

async function readChunk(
  redis: Redis,
  keys: Keys,
  { query, after, offset }: { query: DeadLetterQuery; after: Entry | undefined; offset: number },
): Promise<Entry[]> {
  const { failedBeforeMs = Number.MAX_SAFE_INTEGER, failedAfterMs = 0 } = query;
  const flat = await redis.zrevrangebyscore(
    keys.deadLetters,
    Math.min(failedBeforeMs, after?.timeMs ?? Number.MAX_SAFE_INTEGER),
    failedAfterMs,
    'WITHSCORES',
    'LIMIT',
    offset,
    chunkSize,
  );
  return flat.flatMap((member, index) =>
    index % 2 === 1 ? [] : [{ timeMs: Number(flat[index + 1]), member }],
  );
}

/** Whether the entry comes later in the list; at one time Redis sorts by name, here downwards. */
function isAfter(entry: Entry, after: Entry | undefined): boolean {
  return after === undefined || entry.timeMs < after.timeMs || entry.member < after.member;
}

function isOf({ member }: Entry, tenant: string | undefined): boolean {
  return tenant === undefined || member.startsWith(`${tenant}\n`);
}

function cursorOf({ timeMs, member }: Entry): string {
  return Buffer.from(`${timeMs}\n${member}`).toString('base64url');
}

function parseCursor(cursor: string): Entry {
  const [, time, member] =
    /^(\d{1,16})\n(.+\njob_\w{26})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (member === undefined) throw new RangeError('the cursor is none of this list; begin again without one');
  return { timeMs: Number(time), member };
}
