import { Bucket, Waiting } from './batch-bucket.ts';
import { BatchHeap } from './batch-heap.ts';
import { BatcherUsageError, type Item } from './batch-item.ts';
import type { BatcherOptions, QueuePolicy } from './batch-options.ts';

/** All items that wait, found by id, by bucket and by deadline, and counted by level. */
export class WaitingRoom<T> {
  readonly buckets = new Map<string, Bucket<T>>();
  count = 0;
  readonly #options: BatcherOptions;
  readonly #byId = new Map<string, Waiting<T>>();
  readonly #levelCounts = new Map<number, number>();
  // Apart, because a drop is due at its deadline while going behind matters only once a batch is formed.
  readonly #rejecting = new BatchHeap<Waiting<T>>(expiresBefore);
  readonly #delaying = new BatchHeap<Waiting<T>>(expiresBefore);
  #sequence = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Throws BatcherUsageError unless the item may come in; changes nothing. */
  check(item: Item<T>): void {
    const { weight, timeoutUs = 0 } = item;
    const maxSize = Math.max(1, this.#options.maxBatchSize);
    if (!Number.isSafeInteger(weight) || weight < 1 || weight > maxSize) {
      throw new BatcherUsageError(
        `item ${item.id}: weight ${weight} is not between 1 and maxBatchSize (${maxSize}); split it`,
      );
    }
    if (!Number.isSafeInteger(timeoutUs) || timeoutUs < 0) {
      throw new BatcherUsageError(`item ${item.id}: timeoutUs ${timeoutUs} is not a whole number of µs`);
    }
    if (this.#byId.has(item.id)) {
      throw new BatcherUsageError(`item ${item.id} already waits; give each item its own id`);
    }
  }

  find(id: string): Waiting<T> | undefined {
    return this.#byId.get(id);
  }

  /** Takes a checked item in at the end of its level; undefined when the level is full. */
  admit(item: Item<T>, nowUs: number): Waiting<T> | undefined {
    const level = this.#levelOf(item);
    const policy = this.#policyOf(level);
    const { maxQueueSize } = policy;
    if (maxQueueSize > 0 && (this.#levelCounts.get(level) ?? 0) >= maxQueueSize) return undefined;
    const timeoutUs = timeoutOf(item, policy);
    const deadlineUs = timeoutUs > 0 ? nowUs + timeoutUs : Infinity;
    const waiting = this.#enter(item, level, { enqueuedUs: nowUs, deadlineUs });
    waiting.bucket.append(waiting);
    if (deadlineUs < Infinity) this.#deadlines(waiting).push(waiting);
    return waiting;
  }

  /**
   * Puts a checked item back before those of its level that are not older. It was served in time once, so
   * neither the queue's bound nor a deadline applies to it any more.
   */
  restore(item: Item<T>, enqueuedUs: number): Waiting<T> {
    const waiting = this.#enter(item, this.#levelOf(item), { enqueuedUs, deadlineUs: Infinity });
    waiting.bucket.restore(waiting);
    return waiting;
  }

  /** The item no longer waits: it is bound to a batch or dropped. */
  leave(waiting: Waiting<T>): void {
    waiting.bucket.remove(waiting);
    this.#deadlines(waiting).remove(waiting);
    this.#byId.delete(waiting.item.id);
    this.#levelCounts.set(waiting.level, (this.#levelCounts.get(waiting.level) ?? 0) - 1);
    this.count -= 1;
  }

  /** The item's deadline has passed and its policy lets it wait on, behind the others of its level. */
  delay(waiting: Waiting<T>): void {
    this.#delaying.remove(waiting);
    waiting.deadlineUs = Infinity;
    waiting.bucket.delay(waiting);
  }

  /** The item that is to be dropped next for its deadline. */
  get nextToReject(): Waiting<T> | undefined {
    return this.#rejecting.peek();
  }

  /** The item that is to go behind next for its deadline. */
  get nextToDelay(): Waiting<T> | undefined {
    return this.#delaying.peek();
  }

  rejects(waiting: Waiting<T>): boolean {
    return this.#policyOf(waiting.level).timeoutAction === 'reject';
  }

  /** The bucket of the key, made when there is none. */
  bucket(key: string): Bucket<T> {
    const found = this.buckets.get(key);
    if (found !== undefined) return found;
    const bucket = new Bucket<T>(key);
    this.buckets.set(key, bucket);
    return bucket;
  }

  #deadlines(waiting: Waiting<T>): BatchHeap<Waiting<T>> {
    return this.rejects(waiting) ? this.#rejecting : this.#delaying;
  }

  #enter(item: Item<T>, level: number, times: { enqueuedUs: number; deadlineUs: number }): Waiting<T> {
    const bucket = this.bucket(this.#options.bucketing ? item.key : '');
    const { enqueuedUs, deadlineUs } = times;
    const waiting = new Waiting(item, { bucket, enqueuedUs, level, sequence: this.#sequence, deadlineUs });
    this.#sequence += 1;
    this.#byId.set(item.id, waiting);
    this.#levelCounts.set(level, (this.#levelCounts.get(level) ?? 0) + 1);
    this.count += 1;
    return waiting;
  }

  #levelOf({ priority }: Item<T>): number {
    const { priorityLevels, defaultPriorityLevel } = this.#options;
    if (priorityLevels === 0) return 0;
    const named = priority !== undefined && Number.isInteger(priority);
    return named && priority >= 1 && priority <= priorityLevels ? priority : defaultPriorityLevel;
  }

  #policyOf(level: number): QueuePolicy {
    return this.#options.priorityQueuePolicies.get(level) ?? this.#options.defaultQueuePolicy;
  }
}

function timeoutOf<T>({ timeoutUs = 0 }: Item<T>, policy: QueuePolicy): number {
  const shortened = policy.allowTimeoutOverride && timeoutUs > 0 && timeoutUs < policy.defaultTimeoutUs;
  return shortened ? timeoutUs : policy.defaultTimeoutUs;
}

function expiresBefore<T>(a: Waiting<T>, b: Waiting<T>): boolean {
  if (a.deadlineUs !== b.deadlineUs) return a.deadlineUs < b.deadlineUs;
  if (a.level !== b.level) return a.level < b.level;
  return a.sequence < b.sequence;
}
