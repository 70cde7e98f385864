import type { HeapEntry } from './batch-heap.ts';
import type { Item } from './batch-item.ts';
import type { BatchRule } from './batch-options.ts';

/** An item's place in one list. */
export interface Link<T> {
  readonly waiting: Waiting<T>;
  previous: Link<T> | undefined;
  next: Link<T> | undefined;
}

/** An item that waits. Its heapIndex is its place among the deadlines. */
export class Waiting<T> implements HeapEntry {
  heapIndex = -1;
  canceled = false;
  delayed = false;
  readonly item: Item<T>;
  readonly bucket: Bucket<T>;
  readonly enqueuedUs: number;
  readonly level: number;
  /** Breaks ties in the order of arrival. */
  readonly sequence: number;
  /** Infinity: none. */
  deadlineUs: number;
  readonly lane: Link<T>;
  readonly age: Link<T>;

  constructor(
    item: Item<T>,
    place: { bucket: Bucket<T>; enqueuedUs: number; level: number; sequence: number; deadlineUs: number },
  ) {
    this.item = item;
    this.bucket = place.bucket;
    this.enqueuedUs = place.enqueuedUs;
    this.level = place.level;
    this.sequence = place.sequence;
    this.deadlineUs = place.deadlineUs;
    this.lane = { waiting: this, previous: undefined, next: undefined };
    this.age = { waiting: this, previous: undefined, next: undefined };
  }
}

/** A doubly linked list: every insertion and removal is O(1). */
export class Chain<T> {
  first: Link<T> | undefined;
  #last: Link<T> | undefined;

  append(link: Link<T>): void {
    this.insertBefore(link, undefined);
  }

  /** Puts the link before another one of this chain; at the end when there is none. */
  insertBefore(link: Link<T>, next: Link<T> | undefined): void {
    const previous = next === undefined ? this.#last : next.previous;
    link.previous = previous;
    link.next = next;
    if (previous === undefined) this.first = link;
    else previous.next = link;
    if (next === undefined) this.#last = link;
    else next.previous = link;
  }

  remove(link: Link<T>): void {
    const { previous, next } = link;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    link.previous = undefined;
    link.next = undefined;
  }
}

/** One priority level of a bucket: unexpired items first, then those whose timeout put them behind. */
export class Lane<T> {
  readonly level: number;
  readonly fresh = new Chain<T>();
  readonly delayed = new Chain<T>();
  constructor(level: number) {
    this.level = level;
  }
}

/** The items that may share a batch. Its heapIndex is its place among the buckets of its state. */
export class Bucket<T> implements HeapEntry {
  heapIndex = -1;
  /** A batch could leave it now. */
  ready = false;
  /** What it was last filed under: level, age and arrival of its front item, and the age of its oldest. */
  readonly order = { level: 0, enqueuedUs: 0, sequence: 0, oldestUs: 0 };
  /** Ascending; a level stays once used, and there are few. */
  readonly lanes: Lane<T>[] = [];
  readonly key: string;
  count = 0;
  weight = 0;
  readonly #ages = new Chain<T>();
  #heavier = 0;

  constructor(key: string) {
    this.key = key;
  }

  /** When its oldest item was enqueued; Infinity when it is empty. */
  get oldestUs(): number {
    return this.#ages.first?.waiting.enqueuedUs ?? Infinity;
  }

  /** The item a batch would begin with. */
  get front(): Waiting<T> | undefined {
    for (const lane of this.lanes) {
      const link = lane.fresh.first ?? lane.delayed.first;
      if (link !== undefined) return link.waiting;
    }
    return undefined;
  }

  append(waiting: Waiting<T>): void {
    this.#lane(waiting.level).fresh.append(waiting.lane);
    this.#ages.append(waiting.age);
    this.#weigh(waiting, 1);
  }

  /** Puts an item that had left back before all of its level that are not older; its age counts as before. */
  restore(waiting: Waiting<T>): void {
    const { fresh } = this.#lane(waiting.level);
    fresh.insertBefore(waiting.lane, notOlder(fresh.first, waiting.enqueuedUs));
    this.#ages.insertBefore(waiting.age, notOlder(this.#ages.first, waiting.enqueuedUs));
    this.#weigh(waiting, 1);
  }

  /** Puts an expired item behind all others of its level. */
  delay(waiting: Waiting<T>): void {
    const lane = this.#lane(waiting.level);
    lane.fresh.remove(waiting.lane);
    lane.delayed.append(waiting.lane);
    waiting.delayed = true;
  }

  remove(waiting: Waiting<T>): void {
    const lane = this.#lane(waiting.level);
    if (waiting.delayed) lane.delayed.remove(waiting.lane);
    else lane.fresh.remove(waiting.lane);
    this.#ages.remove(waiting.age);
    this.#weigh(waiting, -1);
  }

  /**
   * Whether what waits here makes a batch by its size alone: some first items sum to a preferred size,
   * or more waits than the largest one. Below the largest preferred size, so a walk is bounded by it.
   */
  reachesPreferred(rule: BatchRule): boolean {
    if (this.weight >= rule.largestPreferred) return true;
    if (this.weight < rule.smallestPreferred) return false;
    if (this.#heavier === 0) return true;
    let sum = 0;
    for (const lane of this.lanes) {
      for (const chain of [lane.fresh, lane.delayed]) {
        for (let link = chain.first; link !== undefined; link = link.next) {
          sum += link.waiting.item.weight;
          if (rule.preferred.has(sum)) return true;
        }
      }
    }
    return false;
  }

  #weigh(waiting: Waiting<T>, sign: 1 | -1): void {
    const { weight } = waiting.item;
    this.count += sign;
    this.weight += sign * weight;
    if (weight > 1) this.#heavier += sign;
  }

  #lane(level: number): Lane<T> {
    const at = this.lanes.findIndex((lane) => lane.level >= level);
    const found = this.lanes[at];
    if (found !== undefined && found.level === level) return found;
    const lane = new Lane<T>(level);
    this.lanes.splice(at < 0 ? this.lanes.length : at, 0, lane);
    return lane;
  }
}

/** The first link from here on whose item is at least as young. Few are older than one that was served. */
function notOlder<T>(first: Link<T> | undefined, enqueuedUs: number): Link<T> | undefined {
  let link = first;
  while (link !== undefined && link.waiting.enqueuedUs < enqueuedUs) link = link.next;
  return link;
}
