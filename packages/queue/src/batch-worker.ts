import { setImmediate } from 'node:timers/promises';
import { newId } from '@glyphmill/contract/id';
import { openAdmission } from './admission.ts';
import { type IngestContext, ingestTurn, type ReadChunks } from './batch-ingest.ts';
import { bulkLimits } from './batch-jobs.ts';
import { type BatchLease, holdLease, LeaseLost, takeBatches } from './batch-lease.ts';
import { type BatchRecord, readBatches } from './batch-record.ts';
import { sweepJobs, sweepSize } from './batch-sweep.ts';
import { connectProducer, type OnConnectionError, ready } from './connection.ts';
import type { Limits } from './create.ts';
import { openDocumentsQueue } from './documents-queue.ts';
import { keysOf, type QueueAddress } from './keys.ts';
import { watchPolicy } from './redis-policy.ts';

export interface BatchWorkerOptions {
  address: QueueAddress;
  limits: Limits;
  read: ReadChunks;
  onError: OnConnectionError;
}

/** Batches in hand at once, so that a slow store holds up only its own. */
const batchesAtOnce = 4;
/** Jobs canceled or tried again after which the next batch has its turn. */
const turnJobs = 5000;
const idleMs = 250;
/** Pause when Redis is away. */
const retryMs = 1000;
const startDeadlineMs = 10_000;

/** Makes the jobs of batches, and cancels and retries them, until closed. Many processes may do so at once. */
export async function startBatchWorker(options: BatchWorkerOptions): Promise<{ close(): Promise<void> }> {
  const { address, read, onError } = options;
  const keys = keysOf(address.shard);
  const redis = connectProducer(address.url, onError);
  await ready(redis, startDeadlineMs);
  const queue = openDocumentsQueue(redis, keys, onError);
  const policy = watchPolicy(redis, { onWarning: (warning) => onError(new Error(warning)) });
  const admission = openAdmission(redis, keys, policy);
  const limits = bulkLimits(options.limits);
  const context: IngestContext = { redis, keys, queue, admission, limits, read, onError };
  const closing = new AbortController();
  const turns = new Set<Promise<void>>();
  let wake = () => {};

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const pauseMs = await startTurns().catch((error: Error) => {
        if (!closing.signal.aborted) onError(error);
        return retryMs;
      });
      if (!closing.signal.aborted) await pause(pauseMs);
    }
  }

  async function pause(pauseMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function startTurns(): Promise<number> {
    const most = batchesAtOnce - turns.size;
    if (most === 0) return idleMs;
    const token = newId('wrk');
    for (const batchId of await takeBatches(redis, keys, { token, most })) {
      const turn = takeTurn(batchId, token)
        .catch(onError)
        .finally(() => {
          turns.delete(turn);
          wake();
        });
      turns.add(turn);
    }
    return idleMs;
  }

  async function takeTurn(batchId: string, token: string): Promise<void> {
    const stop = new AbortController();
    const end = () => stop.abort();
    closing.signal.addEventListener('abort', end, { once: true });
    const lease = holdLease(redis, keys, { batchId, token, stop, onError });
    try {
      const [batch] = await readBatches(redis, keys, [batchId]);
      if (batch === undefined) return;
      if (batch.work === 'ingest') await ingestTurn(context, batch, { lease, signal: stop.signal });
      else await sweepTurn(batch, { lease, signal: stop.signal });
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
    } finally {
      lease.close();
      closing.signal.removeEventListener('abort', end);
    }
  }

  async function sweepTurn(
    batch: BatchRecord,
    { lease, signal }: { lease: BatchLease; signal: AbortSignal },
  ): Promise<void> {
    const end = Math.min(batch.jobs, batch.workIndex + turnJobs);
    for (let from = batch.workIndex; from < end; from += sweepSize) {
      const to = Math.min(end, from + sweepSize);
      await sweepJobs(context, batch, { from, to });
      await lease.sweepTo(to);
      if (signal.aborted) return await lease.giveUp();
      await setImmediate();
    }
    if (end < batch.jobs) await lease.giveUp();
    else await lease.endSweep();
  }

  const running = run();
  return {
    async close() {
      closing.abort();
      wake();
      await running;
      await Promise.all(turns);
      policy.close();
      await queue.close();
      redis.disconnect();
    },
  };
}
