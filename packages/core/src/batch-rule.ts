import type { Bucket, Chain, Waiting } from './batch-bucket.ts';
import type { Trigger } from './batch-item.ts';
import type { BatchRule } from './batch-options.ts';

/** A batch while it is formed. */
export interface Forming {
  size: number;
  /** Key of its items; meaningless while it is empty. */
  key: string;
  /** Another key came up while it was formed: it is not merged with others. */
  sealed: boolean;
  /** Nothing more is added to it. */
  saturated: boolean;
}

/** The instant for which a decision is taken. */
export interface Instant {
  nowUs: number;
  /** Deadlines act last at an instant: only then do those of this very instant count as passed. */
  deadlinesActed: boolean;
  draining: boolean;
}

/** Either items to move into the batch being formed (possibly none), or when to look again. */
export type Decision<T> =
  | { take: readonly Waiting<T>[]; trigger: Trigger | undefined }
  | { waitUntilUs: number };

/** Tells the caller that an item met by the walk is to be dropped or put behind. */
export interface Removals<T> {
  canceled(waiting: Waiting<T>): void;
  expired(waiting: Waiting<T>): void;
}

/** Whether the item's deadline has passed at the instant. */
export function isExpired<T>(waiting: Waiting<T>, instant: Instant): boolean {
  return instant.deadlinesActed ? waiting.deadlineUs <= instant.nowUs : waiting.deadlineUs < instant.nowUs;
}

/**
 * NVIDIA Triton's dynamic batching decision (GetDynamicBatch in triton-inference-server/core,
 * dynamic_batch_scheduler.cc, 73aad7c3), taken afresh over the bucket's items. Walks no further than
 * one batch's worth of items. Marks the forming batch saturated or sealed; drops and delays what it meets.
 */
export function decide<T>(
  rule: BatchRule,
  args: { bucket: Bucket<T>; forming: Forming; instant: Instant; removals: Removals<T> },
): Decision<T> {
  const { forming, instant } = args;
  const walk = new Walk<T>(rule, args);
  walk.run();
  const { scan, pending, best, bestCount } = walk;
  const total = forming.size + pending;
  const over = instant.nowUs - walk.oldestUs >= rule.delayUs;
  const exceeded = scan.length > 0 && (instant.draining || (rule.delayUs > 0 && over));

  if (best > 0 && !exceeded) {
    if (rule.delayUs === 0) forming.saturated = true;
    const reached = forming.size + best;
    const trigger = rule.preferred.has(reached) && reached < rule.maxSize ? 'preferred' : 'size';
    return { take: scan.slice(0, bestCount), trigger };
  }
  if (scan.length === 0) return { take: [], trigger: undefined };
  if (walk.sendNow || total >= rule.largestPreferred) {
    forming.saturated = true;
    return { take: scan, trigger: walk.sendNow || total >= rule.maxSize ? 'size' : 'preferred' };
  }
  if (exceeded) return { take: scan, trigger: instant.draining ? 'drain' : 'delay' };
  if (rule.delayUs === 0) return { take: scan, trigger: 'idle' };
  // What is formed already grows at once: it went for its own reason and will be picked up anyway.
  if (!forming.saturated && forming.size > 0 && !rule.preferred.has(forming.size)) {
    return { take: scan, trigger: undefined };
  }
  return { waitUntilUs: Math.min(walk.oldestUs + rule.delayUs, walk.closestDeadlineUs) };
}

class Walk<T> {
  readonly scan: Waiting<T>[] = [];
  pending = 0;
  best = 0;
  bestCount = 0;
  sendNow = false;
  oldestUs = Infinity;
  closestDeadlineUs = Infinity;
  readonly #rule: BatchRule;
  readonly #bucket: Bucket<T>;
  readonly #forming: Forming;
  readonly #instant: Instant;
  readonly #removals: Removals<T>;

  constructor(
    rule: BatchRule,
    args: { bucket: Bucket<T>; forming: Forming; instant: Instant; removals: Removals<T> },
  ) {
    this.#rule = rule;
    this.#bucket = args.bucket;
    this.#forming = args.forming;
    this.#instant = args.instant;
    this.#removals = args.removals;
  }

  run(): void {
    for (const lane of this.#bucket.lanes) {
      if (!this.#along(lane.fresh)) return;
      if (!this.#along(lane.delayed)) return;
    }
  }

  /** False: the walk ends here. */
  #along(chain: Chain<T>): boolean {
    let link = chain.first;
    while (link !== undefined) {
      const { waiting, next } = link;
      // Triton no longer looks for cancellation once an item has been put behind.
      if (waiting.canceled && !waiting.delayed) this.#removals.canceled(waiting);
      else if (isExpired(waiting, this.#instant)) this.#removals.expired(waiting);
      else if (!this.#fits(waiting)) return false;
      else this.#add(waiting);
      link = next;
    }
    return true;
  }

  #fits(waiting: Waiting<T>): boolean {
    const forming = this.#forming;
    if (forming.size + this.scan.length === 0) {
      forming.key = waiting.item.key;
      return true;
    }
    const grown = forming.size + this.pending + waiting.item.weight;
    if (grown > this.#rule.largestPreferred && this.best === 0) {
      this.best = this.pending;
      this.bestCount = this.scan.length;
      forming.saturated = true;
    }
    if (grown > this.#rule.maxSize) {
      this.sendNow = true;
      return false;
    }
    if (waiting.item.key !== forming.key) {
      forming.sealed = true;
      this.sendNow = true;
      return false;
    }
    return true;
  }

  #add(waiting: Waiting<T>): void {
    this.pending += waiting.item.weight;
    this.scan.push(waiting);
    if (waiting.enqueuedUs < this.oldestUs) this.oldestUs = waiting.enqueuedUs;
    if (waiting.deadlineUs < this.closestDeadlineUs) this.closestDeadlineUs = waiting.deadlineUs;
    if (this.#rule.preferred.has(this.#forming.size + this.pending)) {
      this.best = this.pending;
      this.bestCount = this.scan.length;
    }
  }
}
