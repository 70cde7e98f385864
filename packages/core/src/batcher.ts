import { AheadFormer } from './batch-ahead.ts';
import { Floor } from './batch-floor.ts';
import { BatcherUsageError, type Effect, type Item } from './batch-item.ts';
import { LateFormer } from './batch-late.ts';
import { type BatcherOptions, checkBatcherOptions } from './batch-options.ts';
import type { Instant } from './batch-rule.ts';

export {
  type Batch,
  BatcherUsageError,
  type DropReason,
  type Effect,
  type Item,
  type Trigger,
} from './batch-item.ts';
export {
  type BatcherOptions,
  BatcherOptionsError,
  OPEN_QUEUE_POLICY,
  type QueuePolicy,
} from './batch-options.ts';

/** What happens at one instant. It is acted on in this order: the fields', then the batcher's own. */
export interface Happenings<T> {
  completions?: readonly number[];
  arrivals?: readonly Item<T>[];
  cancels?: readonly string[];
}

/**
 * The micro-batcher as a state machine: told what happened and when, it answers with batches to start and
 * items to drop. It keeps no timer and reads no clock: call wake() at wakeAtUs. The rule is NVIDIA Triton's
 * dynamic batching (see decide); `bucketing` chooses between Triton's canonical order and ours.
 *
 * At one instant completions come first, then all arrivals, cancels and the batcher; deadlines act last.
 * Throws BatcherOptionsError for options that cannot be meant, and BatcherUsageError, with nothing changed,
 * for calls that cannot.
 */
export class Batcher<T> {
  readonly #floor: Floor<T>;
  readonly #former: AheadFormer<T> | LateFormer<T>;
  #draining = false;
  #nowUs = -Infinity;
  #deadlinesActedUs = -Infinity;

  constructor(options: BatcherOptions) {
    checkBatcherOptions(options);
    this.#floor = new Floor(options);
    this.#former = options.bucketing ? new LateFormer(this.#floor) : new AheadFormer(this.#floor, options);
  }

  /** Takes in items that arrive at one instant: all of them in one call. */
  enqueue(items: readonly Item<T>[], nowUs: number): Effect<T>[] {
    return this.advance({ arrivals: items }, nowUs);
  }

  /** Ids that do not wait (any more) are ignored. */
  cancel(ids: readonly string[], nowUs: number): Effect<T>[] {
    return this.advance({ cancels: ids }, nowUs);
  }

  /** The instance has finished its batch and is idle. */
  complete(instance: number, nowUs: number): Effect<T>[] {
    return this.advance({ completions: [instance] }, nowUs);
  }

  /** Everything that happens at one instant, in the order in which it counts. */
  advance(happenings: Happenings<T>, nowUs: number): Effect<T>[] {
    const { completions = [], arrivals = [], cancels = [] } = happenings;
    this.#checkItems(arrivals);
    this.#floor.slots.check(completions);
    const instant = this.#at(nowUs);
    if (completions.length > 0) {
      for (const slot of completions) this.#floor.slots.complete(slot);
      this.#former.pickUp(instant);
    }
    for (const item of arrivals) {
      const waiting = this.#floor.room.admit(item, nowUs);
      if (waiting === undefined) this.#floor.drop(item, 'queue-full');
      else this.#former.arrived(waiting, instant);
    }
    for (const id of cancels) {
      const waiting = this.#floor.room.find(id);
      if (waiting !== undefined) this.#former.cancel(waiting, instant);
    }
    return this.#run(instant);
  }

  /**
   * The instance has come up ('idle'), or it is gone: then no completion is awaited from it, and what it
   * ran is the caller's to requeue. A replacement takes the slot number of the one it replaces.
   */
  setInstance(instance: number, state: 'idle' | 'gone', nowUs: number): Effect<T>[] {
    const instant = this.#at(nowUs);
    this.#floor.slots.set(instance, { state });
    this.#former.pickUp(instant);
    return this.#run(instant);
  }

  /**
   * Puts items that were started back with the age they had (`enqueuedUs` is the batch's): before all of
   * their bucket and level that are not older, in the given order. Having been served in time once, they
   * are subject neither to the queue's bound nor to a timeout.
   */
  requeue(items: readonly Item<T>[], enqueuedUs: readonly number[], nowUs: number): Effect<T>[] {
    if (items.length !== enqueuedUs.length) {
      throw new BatcherUsageError(
        `requeue: ${items.length} items but ${enqueuedUs.length} times of enqueueing`,
      );
    }
    this.#checkItems(items);
    const instant = this.#at(nowUs);
    for (let index = items.length - 1; index >= 0; index -= 1) {
      const item = items[index];
      if (item === undefined) continue;
      this.#former.arrived(this.#floor.room.restore(item, enqueuedUs[index] ?? nowUs), instant);
    }
    return this.#run(instant);
  }

  /** The clock has reached wakeAtUs: deadlines of this very instant count as passed. */
  wake(nowUs: number): Effect<T>[] {
    const instant = this.#at(nowUs);
    this.#deadlinesActedUs = nowUs;
    return this.#run({ ...instant, deadlinesActed: true });
  }

  /** From now on whatever waits goes as soon as an instance is idle. There is no way back. */
  drain(nowUs: number): Effect<T>[] {
    const instant = { ...this.#at(nowUs), draining: true };
    this.#draining = true;
    if (this.#former instanceof LateFormer) this.#former.refileAll(instant);
    return this.#run(instant);
  }

  /** When wake() has to be called next, exactly; undefined: not before something else happens. */
  get wakeAtUs(): number | undefined {
    return this.#former.wakeAtUs;
  }

  /** Items that no instance has taken yet. */
  get waiting(): number {
    return this.#floor.room.count + this.#former.bound;
  }

  /** Items in batches that were started and have not completed. */
  get running(): number {
    return this.#floor.slots.runningItems;
  }

  /** Instances that run a batch. */
  get busyInstances(): number {
    return this.#floor.slots.running;
  }

  get idleInstances(): number {
    return this.#floor.slots.idle;
  }

  /** When the item that has waited longest was enqueued; undefined when nothing waits. */
  get oldestWaitingUs(): number | undefined {
    const oldestUs = this.#former.oldestUs;
    return oldestUs < Infinity ? oldestUs : undefined;
  }

  #run(instant: Instant): Effect<T>[] {
    this.#former.run(instant);
    return this.#floor.takeEffects();
  }

  #at(nowUs: number): Instant {
    if (!Number.isSafeInteger(nowUs) || nowUs < this.#nowUs) {
      throw new BatcherUsageError(
        `time ${nowUs}: expected whole µs, not before ${this.#nowUs}; use one monotonic clock`,
      );
    }
    this.#nowUs = nowUs;
    return { nowUs, deadlinesActed: nowUs <= this.#deadlinesActedUs, draining: this.#draining };
  }

  #checkItems(items: readonly Item<T>[]): void {
    for (const item of items) this.#floor.room.check(item);
    if (items.length < 2) return;
    const ids = new Set<string>();
    for (const { id } of items) {
      if (ids.has(id)) {
        throw new BatcherUsageError(`item ${id} comes twice in one call; give each item its own id`);
      }
      ids.add(id);
    }
  }
}
