import type { IngestError, Rejection } from '@glyphmill/contract/batch';
import { batchLimits } from '@glyphmill/contract/batch-request';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

/** A process that has not been heard of for this long has died, and any other goes on with its batches. */
const batchLeaseMs = 10_000;
const renewEveryMs = 3000;

/** Where the reading of a batch's source goes on. */
export interface Position {
  index: number;
  cursor: string;
}

/** The work on one batch, held by this process. Each call throws LeaseLost once another process has taken it over. */
export interface BatchLease {
  advance(to: { next: Position; rejected: readonly Rejection[] }): Promise<void>;
  /** For a sweep over its jobs. */
  sweepTo(workIndex: number): Promise<void>;
  /** Lets whoever is free go on, after `delayMs`. */
  giveUp(options?: { delayMs: number; fields: Record<string, string | number> }): Promise<void>;
  endIngest(how: { state: 'done' } | { state: 'failed'; error: IngestError }): Promise<void>;
  endSweep(): Promise<void>;
  /** Renews it no more. */
  close(): void;
}

const takeScript = loadScript('batch-take');
const advanceScript = loadScript('batch-advance');
const reportScript = loadScript('batch-report');
const endScript = loadScript('batch-end');

/** Ids of at most `most` batches with work due; they are this process's for the time of a lease. */
export async function takeBatches(
  redis: Redis,
  keys: Keys,
  { token, most }: { token: string; most: number },
): Promise<string[]> {
  const args = [Date.now(), batchLeaseMs, token, most];
  return answerList(await takeScript.run(redis, keys, { keys: [keys.batchWork], args }));
}

/** Renews the lease until it is closed, and aborts `stop` when it is lost. */
export function holdLease(
  redis: Redis,
  keys: Keys,
  {
    batchId,
    token,
    stop,
    onError,
  }: { batchId: string; token: string; stop: AbortController; onError: (error: Error) => void },
): BatchLease {
  const scriptKeys = [keys.batch(batchId), keys.batchWork];
  const heed = (answer: unknown) => {
    if (answer === 'ok') return;
    const lost = new LeaseLost(batchId);
    stop.abort(lost);
    throw lost;
  };
  async function report(
    dueMs: number,
    { give = false, fields = {} }: { give?: boolean; fields?: Record<string, string | number> } = {},
  ): Promise<void> {
    const args = [token, batchId, dueMs, give ? 1 : 0, ...Object.entries(fields).flat()];
    heed(await reportScript.run(redis, keys, { keys: scriptKeys, args }));
  }
  async function end(ingest: string, error: IngestError | undefined): Promise<void> {
    const nowMs = Date.now();
    const text = error === undefined ? '' : JSON.stringify(error);
    const args = [token, batchId, nowMs, new Date(nowMs).toISOString(), ingest, text];
    heed(await endScript.run(redis, keys, { keys: scriptKeys, args }));
  }
  const renewing = setInterval(() => {
    report(Date.now() + batchLeaseMs).catch((error: Error) => {
      if (!(error instanceof LeaseLost)) onError(error);
    });
  }, renewEveryMs);

  return {
    async advance({ next: { index, cursor }, rejected }) {
      const args = [
        token,
        batchId,
        Date.now() + batchLeaseMs,
        index,
        cursor,
        rejected.length,
        batchLimits.batchRejections,
        ...rejected.map((rejection) => JSON.stringify(rejection)),
      ];
      heed(await advanceScript.run(redis, keys, { keys: scriptKeys, args }));
    },
    sweepTo: (workIndex) => report(Date.now() + batchLeaseMs, { fields: { workIndex } }),
    giveUp: ({ delayMs, fields } = { delayMs: 0, fields: {} }) =>
      report(Date.now() + delayMs, { give: true, fields }),
    endIngest: (how) => end(how.state, how.state === 'failed' ? how.error : undefined),
    endSweep: () => end('', undefined),
    close: () => clearInterval(renewing),
  };
}

/** Another process goes on with the batch, or nobody has to. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';

  constructor(batchId: string) {
    super(`the work on ${batchId} is another process’s now`);
  }
}
