import { BatcherUsageError } from './batch-item.ts';

type SlotState = { state: 'idle' } | { state: 'running'; items: number } | { state: 'gone' };

/** The instances, by slot number: who is idle, who runs how many items, who is gone. */
export class InstanceSlots {
  readonly #slots = new Map<number, SlotState>();
  idle = 0;
  running = 0;
  runningItems = 0;

  constructor(instances: number) {
    for (let slot = 0; slot < instances; slot += 1) this.set(slot, { state: 'idle' });
  }

  /** Instances that are idle or running. */
  get alive(): number {
    return this.idle + this.running;
  }

  /** The idle slot with the lowest number, now running that many items; undefined when none is idle. */
  take(items: number): number | undefined {
    if (this.idle === 0) return undefined;
    let lowest = Infinity;
    for (const [slot, { state }] of this.#slots) if (state === 'idle' && slot < lowest) lowest = slot;
    this.set(lowest, { state: 'running', items });
    return lowest;
  }

  /** Throws unless each slot runs a batch or has gone: the completion of one that has gone is void. */
  check(completions: readonly number[]): void {
    for (const slot of completions) {
      const state = this.#slots.get(slot)?.state ?? 'unknown';
      if (state === 'running' || state === 'gone') continue;
      throw new BatcherUsageError(`instance ${slot} completes, but it runs nothing (${state})`);
    }
  }

  /** Its batch is done. */
  complete(slot: number): void {
    if (this.#slots.get(slot)?.state === 'running') this.set(slot, { state: 'idle' });
  }

  set(slot: number, next: SlotState): void {
    if (!Number.isSafeInteger(slot) || slot < 0) {
      throw new BatcherUsageError(`instance ${slot}: expected a slot number of at least 0`);
    }
    this.#count(this.#slots.get(slot), -1);
    this.#count(next, 1);
    this.#slots.set(slot, next);
  }

  #count(slot: SlotState | undefined, sign: 1 | -1): void {
    if (slot?.state === 'idle') this.idle += sign;
    if (slot?.state !== 'running') return;
    this.running += sign;
    this.runningItems += sign * slot.items;
  }
}
