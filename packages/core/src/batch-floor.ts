import type { Waiting } from './batch-bucket.ts';
import type { DropReason, Effect, Item } from './batch-item.ts';
import { type BatcherOptions, type BatchRule, batchRule } from './batch-options.ts';
import { WaitingRoom } from './batch-room.ts';
import { InstanceSlots } from './batch-slots.ts';

/** Where waiting items meet instances: what both ways of forming batches share. Collects the effects. */
export class Floor<T> {
  readonly rule: BatchRule;
  readonly room: WaitingRoom<T>;
  readonly slots: InstanceSlots;
  #effects: Effect<T>[] = [];

  constructor(options: BatcherOptions) {
    this.rule = batchRule(options);
    this.room = new WaitingRoom(options);
    this.slots = new InstanceSlots(options.instances);
  }

  /** Binds items that no longer wait to an idle instance; the caller has seen that there is one. */
  start(args: {
    waiting: readonly Waiting<T>[];
    trigger: Extract<Effect<T>, { type: 'start' }>['batch']['trigger'];
    nowUs: number;
  }): void {
    const { waiting, trigger, nowUs } = args;
    const instance = this.slots.take(waiting.length);
    const first = waiting[0];
    if (instance === undefined || first === undefined) return;
    const items: Item<T>[] = [];
    const enqueuedUs: number[] = [];
    let size = 0;
    let oldestUs = Infinity;
    for (const each of waiting) {
      items.push(each.item);
      enqueuedUs.push(each.enqueuedUs);
      size += each.item.weight;
      oldestUs = Math.min(oldestUs, each.enqueuedUs);
    }
    const batch = {
      items,
      enqueuedUs,
      key: first.item.key,
      size,
      trigger,
      oldestUs,
      startedUs: nowUs,
      instance,
    };
    this.#effects.push({ type: 'start', batch });
  }

  drop(item: Item<T>, why: DropReason): void {
    this.#effects.push({ type: 'drop', item, why });
  }

  canceled(waiting: Waiting<T>): void {
    this.room.leave(waiting);
    this.drop(waiting.item, 'canceled');
  }

  /** The deadline of a waiting item has passed: drops it or puts it behind, as its level's policy says. */
  expired(waiting: Waiting<T>): void {
    if (!this.room.rejects(waiting)) {
      this.room.delay(waiting);
      return;
    }
    this.room.leave(waiting);
    this.drop(waiting.item, 'timeout');
  }

  /** The effects since the last call, in the order in which they came about. */
  takeEffects(): Effect<T>[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
