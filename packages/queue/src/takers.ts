import { type Job, Worker, type WorkerOptions } from 'bullmq';
import type { OnConnectionError, Redis } from './connection.ts';
import type { Keys } from './keys.ts';

export interface TakersOptions<T> {
  redis: Redis;
  keys: Keys;
  queue: string;
  /** Jobs in hand at once. */
  concurrency: number;
  attempt: (job: Job<T>, held: { lock: string | undefined; signal: AbortSignal }) => Promise<void>;
  locks: Pick<WorkerOptions, 'lockDuration' | 'stalledInterval' | 'maxStalledCount'>;
  backoff: (attemptsMade: number, error: Error | undefined) => number;
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

/**
 * BullMQ takes jobs one after the other, and begins none and renews no lock until it has as many as it may. With few
 * to each of several workers, the first begins soon and no lock runs out, also where Redis is far away.
 */
const takenInTurn = 8;
/** Each has a connection of its own. */
const mostTakers = 16;

/** Takes jobs as they come and attempts them, so many at once. */
export function startTakers<T>(options: TakersOptions<T>): Takers {
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

function startTaker<T>(options: TakersOptions<T>): Worker<T> {
  const { redis, keys, queue, concurrency, attempt, locks, backoff, onError } = options;
  const worker = new Worker<T>(
    queue,
    (job, lock, signal) => attempt(job, { lock, signal: signal ?? new AbortController().signal }),
    {
      connection: redis,
      prefix: keys.prefix,
      concurrency,
      ...locks,
      drainDelay: 5,
      settings: { backoffStrategy: (attemptsMade, _type, error) => backoff(attemptsMade, error) },
    },
  );
  worker.on('error', onError);
  worker.on('lockRenewalFailed', (jobIds) => {
    // Another attempt may have begun: this one may stop, and what it would commit is refused anyway.
    for (const id of jobIds) worker.cancelJob(id, 'its lock is lost');
  });
  return worker;
}
