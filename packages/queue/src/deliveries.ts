import { type Delivery, deliverySchema } from '@glyphmill/contract/delivery';
import type { AutomaticReason } from '@glyphmill/contract/event';
import { DelayedError, type Job, Queue, UnrecoverableError } from 'bullmq';
import { connectConsumer, type OnConnectionError, type Redis, ready } from './connection.ts';
import { recordAttempt } from './delivery-log.ts';
import { type AttemptEnd, type DeliveryOutcome, type DeliveryReport, endOf } from './delivery-outcome.ts';
import { findTarget, type Target } from './delivery-target.ts';
import { deliveriesQueue, type Keys, keysOf, type QueueAddress } from './keys.ts';
import { startTakers } from './takers.ts';

export interface DeliveryConsumerOptions {
  address: QueueAddress;
  /** Deliveries on the way at once. */
  concurrency: number;
  /** Never throws for what a receiver does; an error thrown is reported and counts as `retry`. */
  deliver: (delivery: Delivery, target: Target) => Promise<DeliveryOutcome>;
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

const locks = { lockDuration: 30_000, stalledInterval: 5000, maxStalledCount: 100 };
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
  const run = createDeliveryRun({ redis, keys, ...options });
  const takers = startTakers<Delivery>({
    redis,
    keys,
    queue: deliveriesQueue,
    concurrency: options.concurrency,
    attempt: (job, { lock }) => run(job, lock),
    locks,
    backoff: (attemptsMade, error) =>
      error instanceof RetryDelivery ? error.inMs : options.scheduleMs(attemptsMade),
    onError: options.onError,
  });

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
      await takers.close();
      await queue.close();
      redis.disconnect();
    },
  };
}

type RunOptions = DeliveryConsumerOptions & { redis: Redis; keys: Keys };

/** One attempt at a delivery that BullMQ handed out; throws what tells BullMQ how it ended. */
function createDeliveryRun({ redis, keys, deliver, scheduleMs, onAttempt, onError }: RunOptions) {
  return async function run(job: Job<Delivery>, lock: string | undefined): Promise<void> {
    const delivery = parse(job);
    const attempt = job.attemptsMade + 1;
    const startedAtMs = Date.now();
    const begunMs = performance.now();
    const sent = await send(delivery).catch((error: unknown) => ({ url: null, outcome: unexpected(error) }));
    if (sent === 'settled') return;
    const { url, outcome } = sent;
    if (outcome.kind === 'later') {
      await job.moveToDelayed(Date.now() + outcome.afterMs, lock);
      throw new DelayedError();
    }
    const isLast = attempt >= (job.opts.attempts ?? 1);
    const end = endOf(outcome, isLast ? null : scheduleMs(attempt));
    const durationMs = performance.now() - begunMs;
    const disabled = await note(delivery, end, { startedAtMs, durationMs });
    onAttempt({ delivery, url, attempt, durationMs, end, disabled });
    if (end.ended === 'delivered') return;
    if (end.ended === 'retry') throw new RetryDelivery(end.reason, end.retryInMs);
    throw new UnrecoverableError(end.reason);
  };

  function parse(job: Job<Delivery>): Delivery {
    const parsed = deliverySchema.safeParse(job.data);
    if (parsed.success) return parsed.data;
    // It will not become readable: trying again would only take a day to find that out.
    onError(new Error(`delivery ${job.id} cannot be read and was dropped`));
    throw new UnrecoverableError('unreadable');
  }

  async function send(
    delivery: Delivery,
  ): Promise<{ url: string | null; outcome: DeliveryOutcome } | 'settled'> {
    const found = await findTarget(redis, keys, delivery);
    switch (found.kind) {
      case 'settled':
        return 'settled';
      case 'none':
        return { url: null, outcome: { kind: 'give-up', cause: 'endpoint', reason: found.reason } };
      case 'target': {
        const outcome = await deliver(delivery, found.target).catch(unexpected);
        return { url: found.target.url, outcome };
      }
    }
  }

  function unexpected(error: unknown): DeliveryOutcome {
    onError(error instanceof Error ? error : new Error(String(error)));
    return { kind: 'retry', cause: 'unexpected', reason: 'an unexpected error of the sender' };
  }

  /** Writes the attempt into the endpoint's log; tells why the endpoint was disabled over it, if it was. */
  async function note(
    delivery: Delivery,
    end: AttemptEnd,
    { startedAtMs, durationMs }: { startedAtMs: number; durationMs: number },
  ): Promise<AutomaticReason | undefined> {
    if (delivery.target.kind !== 'endpoint') return undefined;
    const nowMs = Date.now();
    const attempt = {
      at: new Date(startedAtMs).toISOString(),
      statusCode: end.statusCode ?? null,
      error: end.ended === 'delivered' ? null : end.reason,
      durationMs: Math.round(durationMs),
    };
    const nextAttemptAtMs = end.ended === 'retry' ? nowMs + end.retryInMs : null;
    const { endpointId } = delivery.target;
    // A delivery is not made again because its log could not be written.
    return await recordAttempt(redis, keys, {
      delivery,
      endpointId,
      attempt,
      end,
      nextAttemptAtMs,
      nowMs,
    }).catch((error: unknown) => {
      onError(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    });
  }
}
