import type { Redis } from './connection.ts';
import { documentsQueue, type Keys } from './keys.ts';

/** What BullMQ keeps as JSON of a job, and reads before it hands the job out. */
const jsonFields = ['data', 'opts', 'progress', 'parent'] as const;
/** More than all workers of an installation hold at once. */
const maxLooked = 10_000;

/**
 * Makes jobs readable for BullMQ again whose entry is damaged so that it is no JSON. BullMQ takes such a job out of the
 * queue, fails over it, and does so again whenever the job's lock has run out, for ever. Without its message the job is
 * handed out the next time and ends as what it is, damaged.
 */
export async function mendUnreadableEntries(redis: Redis, { prefix }: Keys): Promise<void> {
  const queue = `${prefix}:${documentsQueue}`;
  const ids = await redis.lrange(`${queue}:active`, 0, maxLooked - 1);
  for (const id of ids) {
    const entry = `${queue}:${id}`;
    const values = await redis.hmget(entry, ...jsonFields);
    const damaged = jsonFields.filter((_, index) => !isJson(values[index]));
    if (damaged.length === 0) continue;
    await redis
      .multi()
      .hdel(entry, ...damaged)
      .hset(entry, 'data', '{}')
      .exec();
  }
}

function isJson(text: string | null | undefined): boolean {
  if (text === null || text === undefined) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
