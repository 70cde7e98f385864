import { Queue } from 'bullmq';
import type { OnConnectionError, Redis } from './connection.ts';
import type { DocumentsQueue } from './documents-queue.ts';
import { endedPerSecond } from './job-rate.ts';
import { deliveriesQueue, documentsQueue, type Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

export const queueNames = [documentsQueue, deliveriesQueue] as const;
export type QueueName = (typeof queueNames)[number];

export interface QueueState {
  name: QueueName;
  /** In BullMQ's queue, to be taken next. */
  waiting: number;
  /** Before that: documents whose tenants' turn is still to come, events that are not yet deliveries. */
  backlog: number;
  active: number;
  /** Put off until a certain time. */
  delayed: number;
  /** Whether workers take nothing more for now. */
  paused: boolean;
  /** Since when the oldest of those that wait does so; null when none does. */
  oldestAtMs: number | null;
  /** Ended per second in the last minute. */
  perSecond: number;
}

/** For the operator: the queues as they stand, to be paused and resumed. */
export interface Queues {
  state(name: QueueName): Promise<QueueState>;
  /** Lets no worker take anything more; what they have in hand they end. */
  pause(name: QueueName): Promise<void>;
  resume(name: QueueName): Promise<void>;
  close(): Promise<void>;
}

const stateScript = loadScript('queue-state');

export function openQueues(
  { redis, keys, queue }: { redis: Redis; keys: Keys; queue: DocumentsQueue },
  onError: OnConnectionError,
): Queues {
  const deliveries = new Queue(deliveriesQueue, { connection: redis, prefix: keys.prefix });
  deliveries.on('error', onError);
  const named = (name: QueueName): Pick<Queue, 'pause' | 'resume'> =>
    name === documentsQueue ? queue : deliveries;
  return {
    state: (name) => readState(redis, keys, name),
    pause: (name) => named(name).pause(),
    resume: (name) => named(name).resume(),
    close: () => deliveries.close(),
  };
}

async function readState(redis: Redis, keys: Keys, name: QueueName): Promise<QueueState> {
  const nowMs = Date.now();
  const answer = await stateScript.run(redis, keys, {
    keys: [keys.outbox],
    args: [name, nowMs],
  });
  const [waiting, backlog, active, delayed, paused, oldest = '', lastMinute] = answerList(answer);
  return {
    name,
    waiting: Number(waiting),
    backlog: Number(backlog),
    active: Number(active),
    delayed: Number(delayed),
    paused: paused === '1',
    oldestAtMs: oldest === '' ? null : Number(oldest),
    // BullMQ keeps too few of the documents that ended to count them.
    perSecond:
      name === documentsQueue ? await endedPerSecond(redis, keys, { nowMs }) : Number(lastMinute) / 60,
  };
}
