import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { secondsSince, slotsOfLastMinute } from './last-minute.ts';

/**
 * Jobs that ended per second in the last minute, counted from the first that did; 0 where none did. `tenant`
 * undefined: of all tenants.
 */
export async function endedPerSecond(
  redis: Redis,
  keys: Keys,
  { tenant = '', nowMs }: { tenant?: string | undefined; nowMs: number },
): Promise<number> {
  const slots = slotsOfLastMinute(nowMs);
  const pipeline = redis.pipeline();
  for (const slot of slots) pipeline.hget(keys.ended(slot), tenant);
  // Whoever is refused asks for this: it is one thing to ask of Redis, and not seven.
  const counts = ((await pipeline.exec()) ?? []).map(([error, count]) => {
    if (error) throw error;
    return Number(count ?? 0);
  });
  const first = slots[counts.findIndex((count) => count > 0)];
  if (first === undefined) return 0;
  return counts.reduce((sum, count) => sum + count, 0) / secondsSince(first, nowMs);
}
