import { type MicroBatch, maxMicroBatches } from '@glyphmill/contract/result';
import type { Served } from '@glyphmill/inference/models';

/** The micro-batches that the items of one document rode in. */
export class MicroBatches {
  readonly #byId = new Map<string, MicroBatch>();

  add(role: MicroBatch['role'], ride: Served['microBatch']): void {
    const { id, size, fill, trigger } = ride;
    const queueDelayMs = tenths(ride.queueDelaySeconds * 1000);
    const known = this.#byId.get(id);
    if (known !== undefined) {
      known.own += 1;
      known.queueDelayMs = Math.max(known.queueDelayMs, queueDelayMs);
    } else if (this.#byId.size < maxMicroBatches) {
      const runMs = tenths(ride.runSeconds * 1000);
      this.#byId.set(id, { id, role, size, own: 1, fill, trigger, queueDelayMs, runMs });
    }
  }

  list(): MicroBatch[] {
    return [...this.#byId.values()];
  }
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
