import { type Delivery, deliverySchema } from '@glyphmill/contract/event';
import { DelayedError, type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { connectConsumer, type OnConnectionError, ready } from './connection.ts';
import { deliveriesQueue, keysOf, type QueueAddress } from './keys.ts';

/**
 * What one delivery attempt came to. `retry` follows the schedule, and waits `afterMs` where that is
 * longer. `later` is no attempt: the delivery comes back after `afterMs` and none of its attempts is spent.
 */
export type DeliveryOutcome =
  | { kind: 'delivered' }
  | { kind: 'retry'; reason: string; afterMs?: number | undefined }
  | { kind: 'give-up'; reason: string }
  | { kind: 'later'; afterMs: number };

/** How an attempt ended, for the log and the metrics. `given-up`: there will be no other. */
export interface DeliveryReport {
  delivery: Delivery;
  /** Counted from 1. */
  attempt: number;
  ended: 'delivered' | 'retry' | 'given-up';
  reason?: string;
  retryInMs?: number;
  durationMs: number;
}

export interface DeliveryConsumerOptions {
  address: QueueAddress;
  /** Deliveries on the way at once. */
  concurrency: number;
  /** Never throws for what a receiver does; an error thrown is reported and counts as `retry`. */
  deliver: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /** Wait before attempt n + 1 after attempt n failed, n from 1. */
  scheduleMs: (attempt: number) => number;
  onAttempt: (report: DeliveryReport) => void;
  onError: OnConnectionError;
}

export interface DeliveryConsumer {
  counts(): Promise<Record<'waiting' | 'active' | 'delayed' | 'failed', number>>;
  ping(): Promise<void>;
  /** Takes no more deliveries and resolves when those on the way have ended. */
  close(): Promise<void>;
}

const lockDurationMs = 30_000;
const stalledIntervalMs = 5000;
const maxStalledCount = 100;
const startDeadlineMs = 10_000;

class RetryDelivery extends Error {
  override readonly name = 'RetryDelivery';
  readonly inMs: number;

  constructor(reason: string, inMs: number) {
    super(reason);
    this.inMs = inMs;
  }
}

/** Works through the queue of deliveries until closed. */
export async function startDeliveryConsumer(options: DeliveryConsumerOptions): Promise<DeliveryConsumer> {
  const keys = keysOf(options.address.shard);
  const redis = connectConsumer(options.address.url, options.onError);
  await ready(redis, startDeadlineMs);
  const queue = new Queue<Delivery>(deliveriesQueue, { connection: redis, prefix: keys.prefix });
  queue.on('error', options.onError);
  const worker = new Worker<Delivery>(deliveriesQueue, (job, lock) => processJob(job, lock, options), {
    connection: redis,
    prefix: keys.prefix,
    concurrency: options.concurrency,
    lockDuration: lockDurationMs,
    stalledInterval: stalledIntervalMs,
    maxStalledCount,
    settings: {
      backoffStrategy: (attemptsMade, _type, error) =>
        error instanceof RetryDelivery ? error.inMs : options.scheduleMs(attemptsMade),
    },
  });
  worker.on('error', options.onError);

  return {
    async counts() {
      const {
        wait = 0,
        active = 0,
        delayed = 0,
        failed = 0,
      } = await queue.getJobCounts('wait', 'active', 'delayed', 'failed');
      return { waiting: wait, active, delayed, failed };
    },
    async ping() {
      if (redis.status !== 'ready') throw new Error(`the connection to Redis is ${redis.status}`);
      await redis.ping();
    },
    async close() {
      await worker.close();
      await queue.close();
      redis.disconnect();
    },
  };
}

async function processJob(
  job: Job<Delivery>,
  lock: string | undefined,
  { deliver, scheduleMs, onAttempt, onError }: DeliveryConsumerOptions,
): Promise<void> {
  const parsed = deliverySchema.safeParse(job.data);
  if (!parsed.success) {
    // It will not become readable: trying again would only take a day to find that out.
    onError(new Error(`delivery ${job.id} cannot be read and was dropped`, { cause: parsed.error }));
    throw new UnrecoverableError('unreadable');
  }
  const delivery = parsed.data;
  const attempt = job.attemptsMade + 1;
  const begunMs = performance.now();
  const outcome = await deliver(delivery).catch((error: unknown): DeliveryOutcome => {
    onError(error instanceof Error ? error : new Error(String(error)));
    return { kind: 'retry', reason: 'an unexpected error of the sender' };
  });
  const report = (rest: Pick<DeliveryReport, 'ended' | 'reason' | 'retryInMs'>) =>
    onAttempt({ delivery, attempt, durationMs: performance.now() - begunMs, ...rest });

  switch (outcome.kind) {
    case 'delivered':
      return report({ ended: 'delivered' });
    case 'later':
      await job.moveToDelayed(Date.now() + outcome.afterMs, lock);
      throw new DelayedError();
    case 'retry': {
      if (attempt >= (job.opts.attempts ?? 1)) break;
      const inMs = Math.max(outcome.afterMs ?? 0, scheduleMs(attempt));
      report({ ended: 'retry', reason: outcome.reason, retryInMs: inMs });
      throw new RetryDelivery(outcome.reason, inMs);
    }
    case 'give-up':
      break;
  }
  report({ ended: 'given-up', reason: outcome.reason });
  throw new UnrecoverableError(outcome.reason);
}
