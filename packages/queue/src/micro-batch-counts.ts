import { type MicroBatch, triggerSchema } from '@glyphmill/contract/result';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { secondsSince, slotMs, slotsOfLastMinute } from './last-minute.ts';

/** Micro-batches of one model version that were run. */
export interface MicroBatchCount {
  model: string;
  version: string;
  batches: number;
  items: number;
  /** Items that they had room for. */
  room: number;
  triggers: Partial<Record<MicroBatch['trigger'], number>>;
}

/** How often workers tell what they ran. */
export const countEveryMs = 2000;

const keptSeconds = 120;
/** Between the parts of a field's name; no name of a model has it. */
const separator = '\n';

/** Adds up what the workers of this installation run. */
export async function addMicroBatches(
  redis: Redis,
  keys: Keys,
  counts: readonly MicroBatchCount[],
): Promise<void> {
  if (counts.length === 0) return;
  const key = keys.microBatches(Math.floor(Date.now() / slotMs));
  const pipeline = redis.pipeline();
  for (const { model, version, triggers, batches, items, room } of counts) {
    for (const [name, by] of Object.entries({ batches, items, room, ...triggers })) {
      pipeline.hincrby(key, [model, version, name].join(separator), by);
    }
  }
  pipeline.expire(key, keptSeconds);
  await pipeline.exec();
}

/** What was run in the last minute, and over how many seconds of it: since the first of them, at most some seventy. */
export async function readMicroBatches(
  redis: Redis,
  keys: Keys,
): Promise<{ seconds: number; counts: MicroBatchCount[] }> {
  const nowMs = Date.now();
  const slots = slotsOfLastMinute(nowMs);
  const hashes = await Promise.all(slots.map((slot) => redis.hgetall(keys.microBatches(slot))));
  const sums = new Map<string, number>();
  for (const [field, count] of hashes.flatMap((hash) => Object.entries(hash))) {
    sums.set(field, (sums.get(field) ?? 0) + Number(count));
  }
  const models = new Set([...sums.keys()].map((field) => field.split(separator).slice(0, 2).join(separator)));
  const counts = [...models].sort().map((name) => {
    const [model = '', version = ''] = name.split(separator);
    const sum = (part: string) => sums.get([name, part].join(separator)) ?? 0;
    const triggers = Object.fromEntries(
      triggerSchema.options.flatMap((trigger) => (sum(trigger) > 0 ? [[trigger, sum(trigger)]] : [])),
    );
    return { model, version, batches: sum('batches'), items: sum('items'), room: sum('room'), triggers };
  });
  const first = slots[hashes.findIndex((hash) => Object.keys(hash).length > 0)];
  return { seconds: first === undefined ? 0 : secondsSince(first, nowMs), counts };
}
