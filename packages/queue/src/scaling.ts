import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

/** What the number of workers is decided by. */
export interface Scaling {
  /** Work that is open, in seconds of one worker; 0 while the queue is paused, since more workers would be idle too. */
  backlogSeconds: number;
  /** Pages that are still to be read, those of documents that nobody has opened yet by estimate. */
  backlogPages: number;
  /** Of one worker: what those present have measured, else what was measured last, else the default. */
  ratePagesPerSecond: number;
  /** Workers that are there. */
  workers: number;
  paused: boolean;
  /** Workers that would end the backlog within the target. */
  desiredReplicas: number;
}

export interface ScalingSettings {
  /** In which the workers should end what is open now. */
  targetSeconds: number;
  /** Taken until a first worker has measured its rate. */
  defaultPagesPerSecond: number;
}

/** How often a worker says how fast it is, and how long it counts after that. */
export const rateEveryMs = 5000;
const presentForMs = 20_000;
/** Outlives scaling to zero over a long weekend. */
const lastRateForMs = 7 * 86_400_000;

const scalingScript = loadScript('scaling');
const rateScript = loadScript('rate');

/** Throws what Redis throws. */
export async function readScaling(redis: Redis, keys: Keys, settings: ScalingSettings): Promise<Scaling> {
  const answer = await scalingScript.run(redis, keys, { keys: [keys.load], args: [presentForMs] });
  const [jobs, known, pages, documents, pagesOfThese, paused, workers, measured, rates, lastRate] =
    answerList(answer).map(Number);
  return scalingOf(
    {
      openJobs: jobs ?? 0,
      knownJobs: known ?? 0,
      knownPages: pages ?? 0,
      documents: documents ?? 0,
      documentPages: pagesOfThese ?? 0,
      paused: paused === 1,
      workers: workers ?? 0,
      measuredWorkers: measured ?? 0,
      sumOfRates: rates ?? 0,
      lastRate: lastRate ?? 0,
    },
    settings,
  );
}

interface Load {
  openJobs: number;
  /** Open jobs whose documents have been opened, and the pages of these that are not read yet. */
  knownJobs: number;
  knownPages: number;
  /** Documents opened of late, and their pages. */
  documents: number;
  documentPages: number;
  paused: boolean;
  workers: number;
  measuredWorkers: number;
  sumOfRates: number;
  /** 0 when none was ever measured. */
  lastRate: number;
}

/**
 * Of an unopened document nobody knows how many pages it has: it counts as the mean of those opened of late, or as one.
 * A number that is independent of how many workers there are at present, so that it does not swing with them.
 */
export function scalingOf(load: Load, { targetSeconds, defaultPagesPerSecond }: ScalingSettings): Scaling {
  const { paused, workers } = load;
  const meanPages = load.documents === 0 ? 1 : Math.max(1, load.documentPages / load.documents);
  const unopened = Math.max(0, load.openJobs - load.knownJobs);
  const backlogPages = Math.max(0, load.knownPages) + unopened * meanPages;
  const measured = load.measuredWorkers === 0 ? load.lastRate : load.sumOfRates / load.measuredWorkers;
  const ratePagesPerSecond = measured > 0 ? measured : defaultPagesPerSecond;
  const backlogSeconds = paused ? 0 : backlogPages / ratePagesPerSecond;
  const desiredReplicas = Math.ceil(backlogSeconds / targetSeconds);
  return { backlogSeconds, backlogPages, ratePagesPerSecond, workers, paused, desiredReplicas };
}

/** Says that this worker is there and how fast it is; undefined while it has measured nothing. */
export async function announceRate(
  redis: Redis,
  keys: Keys,
  { worker, pagesPerSecond }: { worker: string; pagesPerSecond: number | undefined },
): Promise<void> {
  const rate = pagesPerSecond === undefined ? '' : pagesPerSecond.toPrecision(6);
  await rateScript.run(redis, keys, { keys: [keys.rates], args: [worker, rate, lastRateForMs] });
}

/** The worker is not counted any more. */
export async function withdrawRate(redis: Redis, keys: Keys, worker: string): Promise<void> {
  await rateScript.run(redis, keys, { keys: [keys.rates], args: [worker, 'gone', lastRateForMs] });
}
