import type { Bucket, Waiting } from './batch-bucket.ts';
import type { Floor } from './batch-floor.ts';
import type { Trigger } from './batch-item.ts';
import { type BatcherOptions, formsAhead } from './batch-options.ts';
import { decide, type Forming, type Instant, isExpired } from './batch-rule.ts';

interface Payload<T> extends Forming {
  readonly waiting: Waiting<T>[];
  oldestUs: number;
  trigger: Trigger;
  queued: boolean;
  started: boolean;
}

/** Triton keeps up to this many formed batches queued per instance. */
const PAYLOADS_PER_INSTANCE = 2;

/**
 * Triton's canonical order: one queue for all keys; batches are formed ahead of idle instances where no
 * queue policy is set, grow until an instance takes them, and are merged at pick-up once over age.
 */
export class AheadFormer<T> {
  wakeAtUs: number | undefined;
  readonly #floor: Floor<T>;
  readonly #ahead: boolean;
  readonly #bucket: Bucket<T>;
  readonly #queue: Payload<T>[] = [];
  #payload = emptyPayload<T>();

  constructor(floor: Floor<T>, options: BatcherOptions) {
    this.#floor = floor;
    this.#ahead = formsAhead(options);
    this.#bucket = floor.room.bucket('');
  }

  /** Items in formed batches that no instance has taken yet. */
  get bound(): number {
    return this.#queue.reduce((sum, payload) => sum + payload.waiting.length, 0);
  }

  get oldestUs(): number {
    return this.#queue.reduce((oldest, payload) => Math.min(oldest, payload.oldestUs), this.#bucket.oldestUs);
  }

  arrived(_waiting: Waiting<T>): void {}

  /** The item is dropped when a decision meets it; one already in a formed batch runs. */
  cancel(waiting: Waiting<T>): void {
    waiting.canceled = true;
  }

  /** Idle instances take formed batches, oldest first, and merge what is over age with them. */
  pickUp(instant: Instant): void {
    while (this.#floor.slots.idle > 0) {
      const payload = this.#queue.shift();
      if (payload === undefined) return;
      payload.started = true;
      this.#merge(payload, instant.nowUs);
      const trigger = payload.size >= this.#floor.rule.maxSize ? 'size' : payload.trigger;
      this.#floor.start({ waiting: payload.waiting, trigger, nowUs: instant.nowUs });
    }
  }

  run(instant: Instant): void {
    const floor = this.#floor;
    this.wakeAtUs = undefined;
    for (;;) {
      if (this.#payload.saturated || this.#payload.started) this.#payload = emptyPayload();
      if (this.#bucket.count === 0) return;
      if (!this.#hasSlot()) {
        this.#rejectExpired(instant);
        this.wakeAtUs = floor.room.nextToReject?.deadlineUs;
        return;
      }
      const decision = decide(floor.rule, {
        bucket: this.#bucket,
        forming: this.#payload,
        instant,
        removals: floor,
      });
      if ('waitUntilUs' in decision) {
        this.wakeAtUs = decision.waitUntilUs;
        return;
      }
      if (decision.take.length > 0) {
        this.#fill(decision.take, decision.trigger);
        this.pickUp(instant);
      } else if (this.#bucket.count > 0 && !this.#payload.saturated) {
        return;
      }
    }
  }

  #hasSlot(): boolean {
    const { slots } = this.#floor;
    if (this.#ahead) return this.#queue.length < PAYLOADS_PER_INSTANCE * slots.alive;
    return slots.idle - this.#queue.length > 0;
  }

  #rejectExpired(instant: Instant): void {
    let next = this.#floor.room.nextToReject;
    while (next !== undefined && isExpired(next, instant)) {
      this.#floor.expired(next);
      next = this.#floor.room.nextToReject;
    }
  }

  #fill(take: readonly Waiting<T>[], trigger: Trigger | undefined): void {
    const payload = this.#payload;
    for (const waiting of take) {
      this.#floor.room.leave(waiting);
      payload.waiting.push(waiting);
      payload.size += waiting.item.weight;
      payload.oldestUs = Math.min(payload.oldestUs, waiting.enqueuedUs);
    }
    payload.trigger = trigger ?? payload.trigger;
    if (payload.queued) return;
    payload.queued = true;
    this.#queue.push(payload);
  }

  #merge(payload: Payload<T>, nowUs: number): void {
    const { delayUs, maxSize } = this.#floor.rule;
    if (delayUs === 0 || maxSize === 1 || payload.sealed) return;
    for (;;) {
      const front = this.#queue[0];
      if (front === undefined || front.sealed || nowUs - front.oldestUs <= delayUs) return;
      // Looked at is started, as in Triton: it takes no more items even when it is not merged.
      front.started = true;
      if (payload.size + front.size > maxSize || payload.key !== front.key) return;
      for (const waiting of front.waiting) payload.waiting.push(waiting);
      payload.size += front.size;
      this.#queue.shift();
    }
  }
}

function emptyPayload<T>(): Payload<T> {
  return {
    waiting: [],
    size: 0,
    key: '',
    sealed: false,
    saturated: false,
    oldestUs: Infinity,
    trigger: 'size',
    queued: false,
    started: false,
  };
}
