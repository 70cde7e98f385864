import { newId } from '@glyphmill/contract/id';
import { connectConsumer, connectSubscriber, ready } from './connection.ts';
import { openDocumentsQueue, retryDelayMs } from './documents-queue.ts';
import { startFeeder } from './feeder.ts';
import { type AttemptReport, createJobRun, type Handler } from './job-run.ts';
import { documentsQueue, keysOf, type QueueAddress } from './keys.ts';
import { announceWorker, type PresenceOptions } from './presence.ts';
import { requireKeepingRedis, watchPolicy } from './redis-policy.ts';
import { startTakers } from './takers.ts';
import { mendUnreadableEntries } from './unreadable-entries.ts';

export interface ConsumerOptions extends Omit<PresenceOptions, 'worker'> {
  address: QueueAddress;
  /** Jobs in hand at once. */
  concurrency: number;
  handler: Handler;
  onAttempt: (report: AttemptReport) => void;
}

export interface Consumer {
  ping(): Promise<void>;
  /**
   * Takes no more jobs, lets those in hand end, and after `graceMs` hands the rest back to the queue. Resolves at most
   * `handBackMs` after that, whether Redis is there or not.
   */
  close(graceMs: number): Promise<void>;
}

const locks = {
  /** A worker that holds a job renews its lock; after this long without renewal another worker takes over. */
  lockDuration: 15_000,
  stalledInterval: 5000,
  /** None of BullMQ's own (see documents-queue.ts): job-run.ts has the limits on stalls and crashes. */
  maxStalledCount: Number.MAX_SAFE_INTEGER,
};
const startDeadlineMs = 10_000;
/** Enough for giving up a few thousand jobs; a Redis that is away may need any time, and has had the grace to come back. */
export const handBackMs = 2500;

/** Works through the queue until closed. Throws when Redis cannot be reached or would lose jobs. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { address, concurrency, handler, onAttempt, onWarning } = options;
  const keys = keysOf(address.shard);
  const redis = connectConsumer(address.url, (error) => onWarning('Redis connection', error));
  await ready(redis, startDeadlineMs);
  const known = await requireKeepingRedis(redis, onWarning);
  const worker = newId('wrk');
  const presence = await announceWorker(redis, keys, { ...options, worker }).catch((error: unknown) => {
    redis.disconnect();
    throw error;
  });
  const policy = watchPolicy(redis, { onWarning, known });
  const run = createJobRun({ redis, keys, worker, handler, onAttempt, onWarning });
  const queue = openDocumentsQueue(redis, keys, (error) => onWarning('queue', error));
  const feeder = startFeeder({
    redis,
    keys,
    queue,
    onError: (error) => onWarning('feeding the queue', error),
  });
  // What is told while the connection is away is found at the attempt's next report.
  const cancellations = connectSubscriber(address.url, (error) => onWarning('Redis connection', error));
  cancellations.on('message', (_channel: string, jobId: string) => run.cancel(jobId));
  await cancellations.subscribe(keys.cancel);
  const takers = startTakers({
    redis,
    keys,
    queue: documentsQueue,
    concurrency,
    attempt: run.attempt,
    locks,
    backoff: retryDelayMs,
    onError: (error) => {
      onWarning('queue', error);
      if (!(error instanceof SyntaxError)) return;
      mendUnreadableEntries(redis, keys).catch((cause: Error) => onWarning('mending the queue', cause));
    },
  });

  return {
    async ping() {
      if (redis.status !== 'ready') throw new Error(`the connection to Redis is ${redis.status}`);
      policy.see(await redis.info('memory'));
      policy.expectKeeping();
    },
    async close(graceMs) {
      policy.close();
      presence.stop();
      const handingBack = setTimeout(() => takers.cancelAll('shutdown'), graceMs);
      const inOrder = Promise.all([feeder.close(), takers.close()])
        .then(() => presence.withdraw())
        .then(() => queue.close());
      if (!(await isSettledWithin(inOrder, graceMs + handBackMs))) {
        onWarning('Redis is away: others take the jobs in hand over when their locks have run out');
        takers.disconnect();
      }
      clearTimeout(handingBack);
      cancellations.disconnect();
      redis.disconnect();
    },
  };
}

/** Whether `work` came to its end in time; if not, nobody hears of it any more. */
async function isSettledWithin(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  const settled = work.then(() => true);
  settled.catch(() => {});
  return Promise.race([settled, tooLate]).finally(() => clearTimeout(timer));
}
