import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

/** Commits count the jobs they end in slots of this length. */
const slotMs = 10_000;
/** Slots before the present one that are looked at. */
const earlierSlots = 6;

/**
 * Jobs that ended per second in the last minute, counted from the first that did; 0 where none did. `tenant`
 * undefined: of all tenants.
 */
export async function endedPerSecond(
  redis: Redis,
  keys: Keys,
  { tenant = '', nowMs }: { tenant?: string | undefined; nowMs: number },
): Promise<number> {
  const present = Math.floor(nowMs / slotMs);
  const slots = Array.from({ length: earlierSlots + 1 }, (_, index) => present - earlierSlots + index);
  const pipeline = redis.pipeline();
  for (const slot of slots) pipeline.hget(keys.ended(slot), tenant);
  // Whoever is refused asks for this: it is one thing to ask of Redis, and not seven.
  const counts = ((await pipeline.exec()) ?? []).map(([error, count]) => {
    if (error) throw error;
    return Number(count ?? 0);
  });
  const first = slots[counts.findIndex((count) => count > 0)];
  if (first === undefined) return 0;
  const sinceMs = Math.max(1000, nowMs - first * slotMs);
  return counts.reduce((sum, count) => sum + count, 0) / (sinceMs / 1000);
}
