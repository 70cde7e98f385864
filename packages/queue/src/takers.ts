import { type Job, Worker } from 'bullmq';
import type { OnConnectionError, Redis } from './connection.ts';
import { retryDelayMs } from './documents-queue.ts';
import { documentsQueue, type Keys } from './keys.ts';

export interface TakersOptions {
  redis: Redis;
  keys: Keys;
  /** Jobs in hand at once. */
  concurrency: number;
  attempt: (job: Job, held: { lock: string | undefined; signal: AbortSignal }) => Promise<void>;
  onError: OnConnectionError;
}

/** BullMQ's workers in this process. */
export interface Takers {
  /** Fires the signal of every attempt in hand. */
  cancelAll(reason: string): void;
  /** Takes nothing more and resolves when the attempts in hand have ended; while Redis is away, never. */
  close(): Promise<void>;
  disconnect(): void;
}

/** A worker that holds a job renews its lock; after this long without renewal another worker takes over. */
const lockDurationMs = 15_000;
const stalledIntervalMs = 5000;
/** None of BullMQ's own (see documents-queue.ts): job-run.ts has the limits on stalls and crashes. */
const maxStalledCount = Number.MAX_SAFE_INTEGER;
/**
 * BullMQ takes jobs one after the other, and begins none and renews no lock until it has as many as it may. With few
 * to each of several workers, the first begins soon and no lock runs out, also where Redis is far away.
 */
const takenInTurn = 8;
/** Each has a connection of its own. */
const mostTakers = 16;

/** Takes jobs as they come and attempts them, so many at once. */
export function startTakers(options: TakersOptions): Takers {
  const { concurrency } = options;
  const count = Math.min(mostTakers, Math.ceil(concurrency / takenInTurn));
  const workers = Array.from({ length: count }, (_, index) =>
    startTaker({ ...options, concurrency: Math.floor((concurrency + index) / count) }),
  );
  return {
    cancelAll: (reason) => {
      for (const worker of workers) worker.cancelAllJobs(reason);
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
    disconnect: () => {
      // It waits for the connection for ever.
      for (const worker of workers) worker.disconnect().catch(() => {});
    },
  };
}

function startTaker({ redis, keys, concurrency, attempt, onError }: TakersOptions): Worker {
  const worker = new Worker(
    documentsQueue,
    (job, lock, signal) => attempt(job, { lock, signal: signal ?? new AbortController().signal }),
    {
      connection: redis,
      prefix: keys.prefix,
      concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      maxStalledCount,
      drainDelay: 5,
      settings: { backoffStrategy: retryDelayMs },
    },
  );
  worker.on('error', onError);
  worker.on('lockRenewalFailed', (jobIds) => {
    // Another attempt may have begun: this one stops, and what it would commit is refused anyway.
    for (const id of jobIds) worker.cancelJob(id, 'its lock is lost');
  });
  return worker;
}
