import { prioritySchema } from '@glyphmill/contract/request';
import type { Redis } from './connection.ts';
import { addToQueue, bullIdOf, type DocumentsQueue, type QueueEntry } from './documents-queue.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

/**
 * Jobs that BullMQ's queue is filled up to. Short, since a tenant who comes now waits behind all of them; long enough
 * that workers find work until the next feeding.
 */
export const shortQueue = 200;
/** Whoever takes a job out of the backlog has this long to add it to the queue. */
export const leaseMs = 5000;
const mostAtOnce = 200;
const idleMs = 250;
const busyMs = 20;

const feedScript = loadScript('feed');
/** Made once: to make a schema costs more than all else there is to do for a job here. */
const knownPriority = prioritySchema.catch('normal');

export interface FeederOptions {
  redis: Redis;
  keys: Keys;
  queue: DocumentsQueue;
}

/**
 * Moves jobs from the backlog, tenants in turn, into BullMQ's queue while that is short. Resolves with how many it
 * moved, or found ended.
 */
export async function feed({ redis, keys, queue }: FeederOptions): Promise<number> {
  const answer = await feedScript.run(redis, keys, {
    keys: [keys.feeding],
    args: [leaseMs, shortQueue, mostAtOnce],
  });
  const [gone, ...values] = answerList(answer);
  const entries = entriesOf(values);
  if (entries.length > 0) {
    await addToQueue(queue, entries);
    await redis.zrem(keys.feeding, ...entries.map(({ jobId, round }) => bullIdOf(jobId, round)));
  }
  return entries.length + Number(gone);
}

/** Feeds until closed. Many may do so at once. */
export function startFeeder(options: FeederOptions & { onError: (error: Error) => void }): {
  close(): Promise<void>;
} {
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let wake = () => {};
  async function run(): Promise<void> {
    while (!closing) {
      const fed = await feed(options).catch((error: Error) => {
        if (!closing) options.onError(error);
        return 0;
      });
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, closing ? 0 : fed > 0 ? busyMs : idleMs);
      });
    }
  }
  const running = run();
  return {
    async close() {
      closing = true;
      clearTimeout(timer);
      wake();
      await running;
    },
  };
}

function entriesOf(values: readonly string[]): QueueEntry[] {
  const entries: QueueEntry[] = [];
  for (let index = 0; index + 3 < values.length; index += 4) {
    const [jobId = '', tenant = '', priority, round] = values.slice(index, index + 4);
    entries.push({
      jobId,
      tenant,
      priority: knownPriority.parse(priority),
      round: Number(round),
    });
  }
  return entries;
}
