import { type Delivery, deliverySchema } from '@glyphmill/contract/event';
import { Queue, UnrecoverableError, Worker } from 'bullmq';
import { connectConsumer, type OnConnectionError, ready } from './connection.ts';
import { deliveriesQueue, keysOf, type QueueAddress } from './keys.ts';

/** What one delivery attempt came to. `retry` without a time follows the schedule. */
export type DeliveryOutcome =
  | { kind: 'delivered' }
  | { kind: 'retry'; reason: string; afterMs?: number | undefined }
  | { kind: 'give-up'; reason: string };

export interface DeliveryConsumerOptions {
  address: QueueAddress;
  /** Deliveries on the way at once. */
  concurrency: number;
  /** Never throws for what a receiver does; an error thrown counts as `retry`. */
  deliver: (delivery: Delivery, context: { attempt: number }) => Promise<DeliveryOutcome>;
  /** Wait before attempt n + 1 after attempt n failed, n from 1. */
  scheduleMs: (attempt: number) => number;
  onGivenUp: (delivery: Delivery, reason: string) => void;
  onError: OnConnectionError;
}

export interface DeliveryConsumer {
  counts(): Promise<Record<'waiting' | 'active' | 'delayed' | 'failed', number>>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

const lockDurationMs = 30_000;
const stalledIntervalMs = 5000;
const maxStalledCount = 100;
const startDeadlineMs = 10_000;

class RetryDelivery extends Error {
  override readonly name = 'RetryDelivery';
  readonly afterMs: number | undefined;

  constructor(reason: string, afterMs: number | undefined) {
    super(reason);
    this.afterMs = afterMs;
  }
}

/** Works through the queue of deliveries until closed. */
export async function startDeliveryConsumer(options: DeliveryConsumerOptions): Promise<DeliveryConsumer> {
  const keys = keysOf(options.address.shard);
  const redis = connectConsumer(options.address.url, options.onError);
  await ready(redis, startDeadlineMs);
  const queue = new Queue<Delivery>(deliveriesQueue, { connection: redis, prefix: keys.prefix });
  queue.on('error', options.onError);
  const worker = new Worker<Delivery>(
    deliveriesQueue,
    async (job) => {
      const delivery = deliverySchema.parse(job.data);
      const outcome = await options.deliver(delivery, { attempt: job.attemptsMade + 1 });
      if (outcome.kind === 'delivered') return;
      const last = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
      if (outcome.kind === 'retry' && !last) throw new RetryDelivery(outcome.reason, outcome.afterMs);
      options.onGivenUp(delivery, outcome.reason);
      throw new UnrecoverableError(outcome.reason);
    },
    {
      connection: redis,
      prefix: keys.prefix,
      concurrency: options.concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      maxStalledCount,
      settings: {
        backoffStrategy: (attemptsMade, _type, error) => {
          const asked = error instanceof RetryDelivery ? error.afterMs : undefined;
          return asked ?? options.scheduleMs(attemptsMade);
        },
      },
    },
  );
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
