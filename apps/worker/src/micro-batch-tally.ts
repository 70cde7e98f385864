import type { BatchEvent } from '@glyphmill/inference/models';
import type { MicroBatchCount } from '@glyphmill/queue/micro-batch-counts';

/** Adds up the micro-batches that were run, until somebody takes the sums. */
export function createMicroBatchTally() {
  let counts = new Map<string, MicroBatchCount>();
  return {
    /** One that gave nothing is run again, and counts then. */
    add({ model, version, size, fill, trigger, outcome }: BatchEvent): void {
      if (outcome !== 'done') return;
      const name = `${model}/${version}`;
      const count = counts.get(name) ?? { model, version, batches: 0, items: 0, room: 0, triggers: {} };
      count.batches += 1;
      count.items += size;
      count.room += Math.max(size, Math.round(size / fill));
      count.triggers[trigger] = (count.triggers[trigger] ?? 0) + 1;
      counts.set(name, count);
    },
    take(): MicroBatchCount[] {
      const taken = [...counts.values()];
      counts = new Map();
      return taken;
    },
  };
}
