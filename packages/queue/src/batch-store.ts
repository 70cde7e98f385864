import type { Rejection } from '@glyphmill/contract/batch';
import { rejectionSchema } from '@glyphmill/contract/batch';
import type { BatchEntry, BatchPlan } from '@glyphmill/contract/batch-plan';
import { batchLimits } from '@glyphmill/contract/batch-request';
import { newId } from '@glyphmill/contract/id';
import type { Admission } from './admission.ts';
import { type BatchReceiver, batchEventTemplate } from './batch-event.ts';
import { type BatchItemsQuery, listBatchJobs } from './batch-items.ts';
import { type BatchRecord, readBatches } from './batch-record.ts';
import type { Redis } from './connection.ts';
import { answering, IdempotencyConflict, TooManyBatches } from './errors.ts';
import { type IdempotencyKey, idempotencyLifetimeMs, idempotencyRecord } from './idempotency.ts';
import type { JobRecord } from './job-record.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';
import type { Watch } from './watch.ts';

export interface NewBatch {
  id: string;
  tenant: string;
  plan: BatchPlan;
  /** Of a plan whose source is `items`: what is left of them, and what is not. */
  entries: readonly BatchEntry[];
  rejected: readonly Rejection[];
  /** Who is told of the completion; null: nobody. */
  receiver: BatchReceiver | null;
  /** Reserved for this batch; the batch is its answer from now on. */
  idempotencyKey?: IdempotencyKey | undefined;
}

/** `busy`: its jobs are still being made or canceled. */
export type OrderAnswer = 'ok' | 'missing' | 'final' | 'busy';

/** What the API needs of batches. Every method throws QueueUnavailable when Redis does not answer in time. */
export interface BatchStore {
  /**
   * Resolves once the batch is durable: its jobs are made by whoever takes the work. Throws QueueFull while Redis's
   * memory is short, TooManyBatches when the tenant has too many batches in the making, and IdempotencyConflict when
   * the key has become another request's meanwhile.
   */
  create(batch: NewBatch): Promise<void>;
  /** Undefined also for another tenant's batch. */
  get(tenant: string, id: string): Promise<BatchRecord | undefined>;
  /** Newest first. Throws RangeError on a cursor that is none of ours. */
  list(
    tenant: string,
    query: { cursor?: string | undefined; limit: number },
  ): Promise<{ records: BatchRecord[]; nextCursor: string | null }>;
  rejections(id: string): Promise<Rejection[]>;
  /** By their places. Throws RangeError on a cursor that is none of ours. */
  jobs(
    batch: BatchRecord,
    query: BatchItemsQuery,
  ): Promise<{ records: JobRecord[]; nextCursor: string | null }>;
  /** Resolves when the batch has completed, `timeoutMs` are over, or earlier: the caller then looks again. */
  waitForEnd(id: string, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void>;
  /** Has its jobs canceled, or tried again where they failed or expired. */
  order(tenant: string, id: string, what: 'cancel' | 'retry'): Promise<OrderAnswer>;
}

const ingestRetrySeconds = 10;

const createScript = loadScript('batch-create');
const orderScript = loadScript('batch-order');

export function openBatchStore(options: {
  redis: Redis;
  keys: Keys;
  admission: Admission;
  watch: Watch;
}): BatchStore {
  const { redis, keys, admission, watch } = options;

  async function create(batch: NewBatch): Promise<void> {
    await admission.check('bulk');
    const record = keys.batch(batch.id);
    const { idempotencyKey: key, tenant } = batch;
    const answer = await createScript.run(redis, keys, {
      keys: [record, key === undefined ? record : idempotencyRecord(keys, tenant, key)],
      args: createArguments(batch),
    });
    const [kind, ingesting] = answerList(answer);
    if (kind === 'created') return;
    if (kind === 'lost') {
      throw new IdempotencyConflict(
        'in-progress',
        'Another request with this Idempotency-Key went ahead of this one; ask again with the same key.',
      );
    }
    const message = `The jobs of ${ingesting} of your batches are still being made, and ${batchLimits.batchesIngesting} may; wait until one is done.`;
    throw new TooManyBatches(message, { retryAfterSeconds: ingestRetrySeconds });
  }

  async function get(tenant: string, id: string): Promise<BatchRecord | undefined> {
    const [record] = await readBatches(redis, keys, [id]);
    return record?.tenant === tenant ? record : undefined;
  }

  async function list(tenant: string, { cursor, limit }: { cursor?: string | undefined; limit: number }) {
    const names = keys.tenantBatches(tenant);
    const rank = cursor === undefined ? -1 : await redis.zrevrank(names, cursor);
    if (rank === null)
      throw new RangeError('the cursor names no batch of this list; begin again without a cursor');
    // One more, to know whether there is one.
    const ids = await redis.zrevrange(names, rank + 1, rank + 1 + limit);
    const page = ids.slice(0, limit);
    const records = (await readBatches(redis, keys, page)).flatMap((record) => record ?? []);
    return { records, nextCursor: ids.length > limit ? (page.at(-1) ?? null) : null };
  }

  async function readRejections(id: string): Promise<Rejection[]> {
    const list = await redis.lrange(keys.batchRejected(id), 0, batchLimits.batchRejections - 1);
    return list.map((json) => rejectionSchema.parse(JSON.parse(json)));
  }

  async function hasEnded(id: string): Promise<boolean> {
    const [exists, finishedAt, work] = await redis.hmget(keys.batch(id), 'id', 'finishedAt', 'work');
    return exists === null || (finishedAt !== null && work !== 'retry');
  }

  async function order(tenant: string, id: string, what: 'cancel' | 'retry'): Promise<OrderAnswer> {
    const nowMs = Date.now();
    const answer = await orderScript.run(redis, keys, {
      keys: [keys.batch(id), keys.batchWork],
      args: [what, id, tenant, nowMs, new Date(nowMs).toISOString()],
    });
    if (answer === 'ok' || answer === 'missing' || answer === 'final' || answer === 'busy') return answer;
    throw new Error(`unexpected answer of the batch-order script: ${String(answer)}`);
  }

  return {
    create: (batch) => answering(() => create(batch)),
    get: (tenant, id) => answering(() => get(tenant, id)),
    list: (tenant, query) => answering(() => list(tenant, query)),
    rejections: (id) => answering(() => readRejections(id)),
    jobs: (batch, query) => answering(() => listBatchJobs(redis, keys, { batch, order: 'ascending', query })),
    waitForEnd: (id, { timeoutMs, signal }) =>
      answering(() =>
        watch.wait(keys.changed(id), {
          timeoutMs,
          signal,
          isAwaited: () => true,
          afterSubscribed: () => hasEnded(id),
        }),
      ),
    order: (tenant, id, what) => answering(() => order(tenant, id, what)),
  };
}

function createArguments(batch: NewBatch): (string | number)[] {
  const { id, tenant, plan, entries, rejected, receiver } = batch;
  const { metadata, ttlSeconds } = plan.task;
  return [
    id,
    tenant,
    JSON.stringify(plan),
    Date.now(),
    ttlSeconds * 1000,
    receiver === null ? '' : batchEventTemplate({ batchId: id, tenant, receiver, metadata }),
    newId('evt'),
    batchLimits.batchesIngesting,
    idempotencyLifetimeMs,
    rejected.length,
    ...rejected.map((rejection) => JSON.stringify(rejection)),
    ...entries.map((entry) => JSON.stringify(entry)),
  ];
}
