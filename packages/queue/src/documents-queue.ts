import type { Message } from '@glyphmill/contract/message';
import type { Priority } from '@glyphmill/contract/request';
import { Queue } from 'bullmq';
import type { OnConnectionError, Redis } from './connection.ts';
import { documentsQueue, type Keys } from './keys.ts';

/** Wait before the second attempt; it doubles with each further one, less up to half as jitter. */
export const firstRetryMs = 1000;
const longestRetryMs = 60_000;
/**
 * BullMQ never gives a job up by itself, after however many errors: it would tell only the process that does so, and
 * should that one die the job would stay open for good. job-run.ts knows the limits, and ends the job before BullMQ does.
 */
const bullAttempts = 1_000_000_000;

/** BullMQ runs jobs without a priority first, then by ascending number. */
const bullPriority: Record<Priority, number> = { high: 0, normal: 5, low: 10 };

export type DocumentsQueue = Queue<Message>;

/** A job on its way into BullMQ's queue. */
export interface QueueEntry {
  jobId: string;
  tenant: string;
  priority: Priority;
  /** How often it was asked to be done again. */
  round: number;
}

export function openDocumentsQueue(
  connection: Redis,
  keys: Keys,
  onError: OnConnectionError,
): DocumentsQueue {
  const queue = new Queue<Message>(documentsQueue, {
    connection,
    prefix: keys.prefix,
    // Asked for once: were the answer late, every later call would fail as that one did.
    skipVersionCheck: true,
    // Our records are what people read; BullMQ's are kept only to be looked at while something is wrong.
    defaultJobOptions: {
      attempts: bullAttempts,
      backoff: { type: 'custom' },
      removeOnComplete: { age: 3600, count: 1000 },
      removeOnFail: { age: 86_400, count: 10_000 },
    },
    streams: { events: { maxLen: 1000 } },
  });
  queue.on('error', onError);
  return queue;
}

/** Puts jobs into BullMQ's queue; one that is there already stays as it is. */
export async function addToQueue(queue: DocumentsQueue, entries: readonly QueueEntry[]): Promise<void> {
  const [first, ...others] = entries.map(toBullJob);
  if (first === undefined) return;
  if (others.length === 0) await queue.add(first.name, first.data, first.opts);
  else await queue.addBulk([first, ...others]);
}

function toBullJob({ jobId, tenant, priority, round }: QueueEntry) {
  const data: Message = { v: 1, jobId, tenant };
  return {
    name: 'document',
    data,
    opts: { jobId: bullIdOf(jobId, round), priority: bullPriority[priority] },
  };
}

/** BullMQ's name of a job. A new round gets a new one: the old may still be on its way out there. */
export function bullIdOf(jobId: string, round: number): string {
  return round === 0 ? jobId : `${jobId}.${round}`;
}

/** What a name in BullMQ stands for. */
export function parseBullId(bullId: string): { jobId: string; round: number } {
  const [jobId = '', round = '0'] = bullId.split('.');
  return { jobId, round: Number(round) };
}

/** Wait before the attempt that follows after this many. */
export function retryDelayMs(attemptsMade: number): number {
  const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** (attemptsMade - 1));
  return Math.round(delayMs * (1 - Math.random() / 2));
}
