// What goes into the batcher and what comes out. Times are whole microseconds on any monotonic clock.

import type { MicroBatch } from '@glyphmill/contract/result';

/**
 * Why a batch went: it was full or nothing more fitted ('size'), it reached a preferred size, its oldest
 * item had waited the queue delay, no delay is set and an instance was idle ('idle'), or the batcher drains.
 */
export type Trigger = MicroBatch['trigger'];

/** One line of text, or whatever else the caller batches. */
export interface Item<T> {
  /** Unique among waiting items. */
  id: string;
  value: T;
  /** Batch key: only items of one key share a batch. */
  key: string;
  /** What the item counts for in a batch's size, 1 to maxBatchSize. */
  weight: number;
  priority?: number;
  timeoutUs?: number;
}

export interface Batch<T> {
  /** In the order they are to be run. */
  items: readonly Item<T>[];
  /** When each item of `items` was enqueued: what requeue() wants back. */
  enqueuedUs: readonly number[];
  key: string;
  /** Sum of the items' weights. */
  size: number;
  trigger: Trigger;
  oldestUs: number;
  startedUs: number;
  instance: number;
}

export type DropReason = 'timeout' | 'queue-full' | 'canceled';

/** What the caller has to do now: run the batch on its instance, or tell the item's owner. */
export type Effect<T> = { type: 'start'; batch: Batch<T> } | { type: 'drop'; item: Item<T>; why: DropReason };

/** A call that cannot be meant: an unknown instance, a second item of one id, time going backwards. */
export class BatcherUsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BatcherUsageError';
  }
}
