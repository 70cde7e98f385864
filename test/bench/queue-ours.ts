import { newId } from '@glyphmill/contract/id';
import { bulkLimits, makeJobs } from '@glyphmill/queue/batch-jobs';
import type { BatchRecord } from '@glyphmill/queue/batch-record';
import { connectProducer, ready } from '@glyphmill/queue/connection';
import { startConsumer } from '@glyphmill/queue/consumer';
import type { Limits } from '@glyphmill/queue/create';
import { openDocumentsQueue } from '@glyphmill/queue/documents-queue';
import { openJobStore } from '@glyphmill/queue/job-store';
import { keysOf } from '@glyphmill/queue/keys';
import { bulkSize, newTask, type QueueSide, readNothing } from './queue-side.ts';

const tenant = 'bench';
/** Where its keys are. */
export const ourShard = 'bench';
const limits: Limits = {
  maxWaiting: 10_000_000,
  tenant: { jobs: 10_000_000, pages: 10_000_000, megapixels: 100_000_000 },
};
const outcome = {
  status: 'succeeded' as const,
  warnings: [],
  usage: { pages: 1, lines: 12, megapixels: 2 },
  timings: { queueMs: 1, fetchMs: 1, decodeMs: 1, detectMs: 1, recognizeMs: 1, totalMs: 5 },
  pagesFailed: 0,
};

/** Our queue, by the same calls as the API and the worker make. */
export async function openOurs(url: string): Promise<QueueSide> {
  const address = { url, shard: ourShard };
  const onError = (error: Error) => console.error(error);
  const store = await openJobStore(address, { limits, onError, onWarning: () => {} });
  const keys = keysOf(ourShard);
  const redis = connectProducer(url, onError);
  await ready(redis, 10_000);
  const queue = openDocumentsQueue(redis, keys, onError);

  return {
    submit: async () => void (await store.submit({ id: newId('job'), tenant, task: newTask() })),
    async trip() {
      const id = newId('job');
      await store.submit({ id, tenant, task: newTask() });
      await store.waitForEnd(id, { timeoutMs: 10_000 });
    },
    async bulk(jobs) {
      const batch = await createBatch();
      for (let from = 0; from < jobs; from += bulkSize) {
        const entries = Array.from({ length: Math.min(bulkSize, jobs - from) }, (_, place) => {
          const { document, inline, options, metadata } = newTask();
          return { index: from + place, document, inline, options, metadata };
        });
        const context = { redis, keys, queue, limits: bulkLimits(limits) };
        const { short } = await makeJobs(context, batch, entries);
        if (short !== null) throw new Error(`a batch’s jobs were not made: ${short}`);
      }
    },
    async work({ concurrency, jobMs, onBegin, onEnd }) {
      const consumer = await startConsumer({
        address,
        concurrency,
        models: () => [],
        onWarning: (message, error) => console.error(message, error),
        onAttempt: ({ ended }) => {
          if (ended !== 'succeeded') throw new Error(`expected a job to succeed, it ended as ${ended}`);
          onEnd();
        },
        // As apps/worker does for a document of one page.
        async handler({ jobId }, context) {
          onBegin();
          context.begin();
          const step = () => context.progress({ pagesTotal: 1, pagesDone: 0, pagesFailed: 0, megapixels: 2 });
          await readNothing({ jobMs, step });
          return { ...outcome, result: { kind: 'inline', json: `{"jobId":"${jobId}","text":"9912"}` } };
        },
      });
      return { close: () => consumer.close(5000) };
    },
  };

  /** One whose jobs are still being made. */
  async function createBatch(): Promise<BatchRecord> {
    const id = newId('bat');
    const { document: _document, inline: _inline, ...task } = newTask();
    const plan = { source: { type: 'items' as const, count: 1 }, task, deadlineMs: null };
    await store.batches.create({
      id,
      tenant,
      plan,
      entries: [],
      rejected: [],
      receiver: null,
      idempotencyKey: undefined,
    });
    const batch = await store.batches.get(tenant, id);
    if (batch === undefined) throw new Error(`expected the batch ${id}`);
    return batch;
  }
}
