import { setImmediate } from 'node:timers/promises';
import type { Rejection, WaitReason } from '@glyphmill/contract/batch';
import { type BatchEntry, batchEntrySchema } from '@glyphmill/contract/batch-plan';
import { type Failure, JobFailure } from '@glyphmill/contract/failure';
import type { Admission } from './admission.ts';
import { makeJobs } from './batch-jobs.ts';
import { type BatchLease, LeaseLost, type Position } from './batch-lease.ts';
import type { BatchRecord } from './batch-record.ts';
import type { Redis } from './connection.ts';
import type { Limits } from './create.ts';
import type { DocumentsQueue } from './documents-queue.ts';
import { isUnavailable, QueueFull } from './errors.ts';
import { IngestFailure } from './ingest-failure.ts';
import type { Keys } from './keys.ts';

/** Some of a batch's source, as the jobs it stands for and what can become none. */
export interface Chunk {
  entries: BatchEntry[];
  rejected: Rejection[];
  /** Where the source goes on after it. */
  next: Position;
}

/**
 * Reads on in a batch's source from where its record says, in chunks of at most `chunkSize`. Throws a JobFailure of
 * the store, or an IngestFailure.
 */
export type ReadChunks = (batch: BatchRecord, signal: AbortSignal) => AsyncIterable<Chunk>;

export interface IngestContext {
  redis: Redis;
  keys: Keys;
  queue: DocumentsQueue;
  limits: Limits;
  admission: Admission;
  read: ReadChunks;
  /** Told of what should not happen; the batch is tried again. */
  onError: (error: Error) => void;
}

/** Jobs made in one go: few enough that neither this process nor Redis keeps others waiting for long. */
export const chunkSize = 200;
/** Chunks after which the next batch has its turn. */
const turnChunks = 25;
const firstWaitMs = 250;
const longestWaitMs = 5000;
/** A source that could not be read for this long is given up. */
const troubleMs = 24 * 3_600_000;

const internal: Pick<Failure, 'code' | 'message'> = {
  code: 'internal',
  message:
    'An unexpected error kept the rest of the source from becoming jobs; the API’s log names its cause.',
};

/**
 * One turn at making a batch's jobs. While there is no room for them, or the source cannot be read, it gives the work
 * up until later; nothing is left out for that. Ends early when `signal` fires.
 */
export async function ingestTurn(
  context: IngestContext,
  batch: BatchRecord,
  { lease, signal }: { lease: BatchLease; signal: AbortSignal },
): Promise<void> {
  let hasMoved = false;
  let chunks = 0;
  try {
    for await (const chunk of chunksOf(context, batch, signal)) {
      // To read a chunk and to make its jobs are two steps for whoever waits for this process.
      await setImmediate();
      await context.admission.check('bulk');
      const { made, short } = await makeJobs(context, batch, chunk.entries);
      hasMoved ||= made > 0;
      // It was canceled.
      if (short === 'closed') return;
      if (short !== null) return await wait(short);
      await lease.advance(chunk);
      hasMoved = true;
      chunks += 1;
      if (signal.aborted || chunks === turnChunks) return await lease.giveUp();
    }
    await lease.endIngest({ state: 'done' });
  } catch (error) {
    await end(error);
  }

  async function end(error: unknown): Promise<void> {
    if (error instanceof LeaseLost) throw error;
    if (signal.aborted) return lease.giveUp();
    if (error instanceof QueueFull) return wait('memory');
    if (error instanceof IngestFailure) return lease.endIngest({ state: 'failed', error: error.reason });
    if (error instanceof JobFailure) {
      if (!error.failure.retryable || isHopeless()) return fail(error.failure);
      return wait('storage-unavailable', troubleSince());
    }
    const unexpected = error instanceof Error ? error : new Error(String(error));
    if (isUnavailable(unexpected)) return wait('queue-unavailable');
    context.onError(unexpected);
    return isHopeless() ? fail(internal) : wait('internal', troubleSince());
  }

  function wait(waitingFor: WaitReason, trouble: { troubleSince?: number } = {}): Promise<void> {
    const waits = hasMoved ? 1 : batch.waits + 1;
    // Jitter, so that batches that wait for the same do not come back in step.
    const delayMs =
      Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(waits, 10)) * (0.75 + Math.random() / 2);
    return lease.giveUp({ delayMs: Math.round(delayMs), fields: { waitingFor, waits, ...trouble } });
  }

  function troubleSince() {
    return { troubleSince: (hasMoved ? null : batch.troubleSinceMs) ?? Date.now() };
  }

  function isHopeless(): boolean {
    return Date.now() - troubleSince().troubleSince > troubleMs;
  }

  function fail({ code, message }: Pick<Failure, 'code' | 'message'>): Promise<void> {
    return lease.endIngest({ state: 'failed', error: { code, message } });
  }
}

async function* chunksOf(
  { redis, keys, read }: IngestContext,
  batch: BatchRecord,
  signal: AbortSignal,
): AsyncIterable<Chunk> {
  if (batch.plan.source.type !== 'items') {
    yield* read(batch, signal);
    return;
  }
  for (let from = batch.index; ; from += chunkSize) {
    const list = await redis.lrange(keys.batchItems(batch.id), from, from + chunkSize - 1);
    if (list.length === 0) return;
    const entries = list.map((json) => batchEntrySchema.parse(JSON.parse(json)));
    yield { entries, rejected: [], next: { index: from + list.length, cursor: '' } };
  }
}
