import type { QuotaUnit, QuotaUsage } from './quota.ts';

/** Redis did not answer in time, is gone, or refuses writes: nothing was accepted, and trying later may work. */
export class QueueUnavailable extends Error {
  override readonly name = 'QueueUnavailable';
}

/** As many jobs wait as may, or Redis's memory is nearly used up: nothing was accepted. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';
  readonly reason: 'depth' | 'memory';
  readonly retryAfterSeconds: number;

  constructor(options: { reason: 'depth' | 'memory'; retryAfterSeconds: number; message: string }) {
    super(options.message);
    this.reason = options.reason;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The tenant's open jobs add up to all they may: nothing was accepted. */
export class QuotaExceeded extends Error {
  override readonly name = 'QuotaExceeded';
  readonly retryAfterSeconds: number;
  readonly unit: QuotaUnit;
  readonly usage: QuotaUsage;
  readonly limits: QuotaUsage;

  constructor(
    message: string,
    quota: { retryAfterSeconds: number; unit: QuotaUnit; usage: QuotaUsage; limits: QuotaUsage },
  ) {
    super(message);
    this.retryAfterSeconds = quota.retryAfterSeconds;
    this.unit = quota.unit;
    this.usage = quota.usage;
    this.limits = quota.limits;
  }
}

/** The tenant has as many batches in the making as it may: nothing was accepted. */
export class TooManyBatches extends Error {
  override readonly name = 'TooManyBatches';
  readonly retryAfterSeconds: number;

  constructor(message: string, { retryAfterSeconds }: { retryAfterSeconds: number }) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Why a caller's Idempotency-Key is refused: `in-progress` passes, `reused` does not. */
export class IdempotencyConflict extends Error {
  override readonly name = 'IdempotencyConflict';
  readonly reason: 'in-progress' | 'reused';

  constructor(reason: 'in-progress' | 'reused', message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Redis is set up in a way that would lose jobs; the message says what to change. */
export class RedisPolicyError extends Error {
  override readonly name = 'RedisPolicyError';
}

/** Whether it is certain that nothing was accepted; after any other error the job may be there after all. */
export function isRefusal(error: unknown): boolean {
  return [QueueFull, QuotaExceeded, TooManyBatches, RedisPolicyError].some((kind) => error instanceof kind);
}

/** Answers that mean "not now" and no fault of the command itself. */
const unavailableReplies =
  /^(OOM|MISCONF|LOADING|READONLY|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|BUSY)\b/;
const connectionTrouble =
  /Command timed out|isn't writeable|Connection is closed|max retries per request|ECONN|EPIPE|ENOENT|ETIMEDOUT/;

/** Whether it is Redis that cannot do at the moment what it was asked to. */
export function isUnavailable({ message }: Error): boolean {
  return unavailableReplies.test(message) || connectionTrouble.test(message);
}

/** Runs one call to Redis for somebody who waits: trouble with Redis becomes QueueUnavailable. */
export async function answering<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof QueueUnavailable || isRefusal(error)) throw error;
    if (isUnavailable(error)) {
      throw new QueueUnavailable(`Redis did not take the command: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
