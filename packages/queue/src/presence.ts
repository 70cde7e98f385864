import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { addMicroBatches, countEveryMs, type MicroBatchCount } from './micro-batch-counts.ts';
import { type AnnouncedModel, announceEveryMs, announceModels } from './model-registry.ts';
import { announceRate, rateEveryMs, withdrawRate } from './scaling.ts';

export interface PresenceOptions {
  /** Its id. */
  worker: string;
  models: () => readonly AnnouncedModel[];
  /** What this worker reads when it has enough to do; undefined until it knows. */
  pagesPerSecond?: () => number | undefined;
  /** The micro-batches run since it was called last, for operators to look at. */
  microBatches?: () => readonly MicroBatchCount[];
  onWarning: (message: string, error?: Error) => void;
}

/** What a worker goes on telling of itself. */
export interface Presence {
  /** Tells nothing more. */
  stop(): void;
  /** Lets it be counted no more. */
  withdraw(): Promise<void>;
}

/** Tells that a worker is there, which models it has and how fast it is; throws when the first time fails. */
export async function announceWorker(redis: Redis, keys: Keys, options: PresenceOptions): Promise<Presence> {
  const { worker, models, pagesPerSecond = () => undefined, microBatches = () => [], onWarning } = options;
  const tellModels = () => announceModels(redis, keys, models());
  const tellRate = () => announceRate(redis, keys, { worker, pagesPerSecond: pagesPerSecond() });
  await tellModels();
  await tellRate();
  const warn = (what: string) => (error: Error) => onWarning(`could not tell ${what}`, error);
  const timers = [
    setInterval(() => void tellModels().catch(warn('the models')), announceEveryMs),
    setInterval(() => void tellRate().catch(warn('how fast this worker is')), rateEveryMs),
    // Those told while Redis is away are lost: they are figures to look at.
    setInterval(() => void addMicroBatches(redis, keys, microBatches()).catch(() => {}), countEveryMs),
  ];
  return {
    stop: () => {
      for (const timer of timers) clearInterval(timer);
    },
    withdraw: () => withdrawRate(redis, keys, worker),
  };
}
