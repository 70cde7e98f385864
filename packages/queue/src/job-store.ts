import { isFinal, statusSchema } from '@glyphmill/contract/job';
import type { Model } from '@glyphmill/contract/model';
import { openAdmission } from './admission.ts';
import type { KeptResult } from './attempt.ts';
import { listBatchJobs } from './batch-items.ts';
import { type BatchStore, openBatchStore } from './batch-store.ts';
import { type CancelAnswer, cancelJob } from './cancel.ts';
import { connectProducer, type OnConnectionError, ready } from './connection.ts';
import type { Limits, NewJob } from './create.ts';
import { countDeadLetters, type DeadLetterQuery, listDeadLetters } from './dead-letters.ts';
import { openDocumentsQueue } from './documents-queue.ts';
import { answering } from './errors.ts';
import { feed } from './feeder.ts';
import { forgetKey, type IdempotencyKey, type Reservation, reserveKey } from './idempotency.ts';
import { startJanitor } from './janitor.ts';
import { type JobRecord, parseRecord } from './job-record.ts';
import { type KeptPage, readKeptPages } from './kept-pages.ts';
import { keysOf, type QueueAddress } from './keys.ts';
import { type ListQuery, listRecords } from './list.ts';
import { type MicroBatchCount, readMicroBatches } from './micro-batch-counts.ts';
import { listModels } from './model-registry.ts';
import { openQueues, type QueueName, type QueueState } from './queue-state.ts';
import { type QuotaUsage, readUsage } from './quota.ts';
import { requireKeepingRedis, watchPolicy } from './redis-policy.ts';
import { type DeleteAnswer, deleteJob, type RetryAnswer, retryJob } from './retry.ts';
import { readScaling, type Scaling, type ScalingSettings } from './scaling.ts';
import { createSubmit, type Submitted } from './submit.ts';
import { openWatch } from './watch.ts';

interface Page {
  records: JobRecord[];
  nextCursor: string | null;
}

/** What the API needs of the queue. Every method throws QueueUnavailable when Redis does not answer in time. */
export interface JobStore {
  /**
   * Resolves once the job is durable. Throws QueueFull or QuotaExceeded when it may not wait, and
   * IdempotencyConflict when its key has become another request's meanwhile. RedisPolicyError: as `ping`.
   */
  submit(job: NewJob): Promise<Submitted>;
  /** Reserves an idempotency key for what is about to be submitted; `forgetKey` gives it back after a refusal. */
  reserveKey(wanted: { tenant: string; id: string; key: IdempotencyKey }): Promise<Reservation>;
  forgetKey(reserved: { tenant: string; id: string; key: IdempotencyKey }): Promise<void>;
  /** Undefined also for another tenant's job. */
  get(tenant: string, id: string): Promise<JobRecord | undefined>;
  /** Newest first. Throws RangeError on a cursor that is none of ours. */
  list(tenant: string, query: ListQuery & { batchId?: string | undefined }): Promise<Page>;
  result(tenant: string, id: string): Promise<KeptResult | undefined>;
  /** Pages that can be read although the job has no result (yet), by number; of any tenant's job. */
  keptPages(id: string): Promise<ReadonlyMap<number, KeptPage['status']>>;
  /** Resolves when the job has ended, `timeoutMs` are over, or earlier: the caller then looks again. */
  waitForEnd(id: string, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void>;
  /**
   * Calls `onChange` when the job has changed or may have: the caller looks at it again, and once more now and then, since
   * a change is missed while Redis is away. Until the function that it returns is called.
   */
  follow(id: string, onChange: () => void): () => void;
  cancel(tenant: string, id: string): Promise<CancelAnswer>;
  /** `tenant` null is the operator, who may with anybody's. */
  retry(tenant: string | null, id: string): Promise<RetryAnswer>;
  delete(tenant: string, id: string): Promise<DeleteAnswer>;
  /** Failed jobs of all tenants, the latest first. */
  deadLetters(query: DeadLetterQuery): Promise<Page>;
  /** How many failed jobs are kept, of them those that failed in the last hour. */
  deadLetterCount(): Promise<{ kept: number; lastHour: number }>;
  /** Micro-batches that workers ran in the last minute, and over how many seconds of it. */
  microBatches(): Promise<{ seconds: number; counts: MicroBatchCount[] }>;
  batches: BatchStore;
  /** What the tenant's open jobs add up to. */
  usage(tenant: string): Promise<QuotaUsage>;
  queueState(name: QueueName): Promise<QueueState>;
  /** What the number of workers is decided by. */
  scaling(settings: ScalingSettings): Promise<Scaling>;
  /** Lets no worker take anything more from the queue, or lets them again; what they have in hand they end. */
  pauseQueue(name: QueueName): Promise<void>;
  resumeQueue(name: QueueName): Promise<void>;
  models(): Promise<Model[]>;
  counts(): Promise<Record<'waiting' | 'active' | 'delayed', number>>;
  /** Throws also RedisPolicyError, when Redis has come to be set up so that it may throw jobs away. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface JobStoreOptions {
  limits: Limits;
  onError: OnConnectionError;
  /** Told what this Redis may lose, at the start and when that changes. */
  onWarning: (message: string) => void;
}

const startDeadlineMs = 10_000;

/** Throws RedisPolicyError when Redis would throw jobs away. */
export async function openJobStore(address: QueueAddress, options: JobStoreOptions): Promise<JobStore> {
  const { limits, onError } = options;
  const keys = keysOf(address.shard);
  const redis = connectProducer(address.url, onError);
  await ready(redis, startDeadlineMs);
  const known = await requireKeepingRedis(redis, options.onWarning);
  const queue = openDocumentsQueue(redis, keys, onError);
  const context = { redis, keys, queue };
  const queues = openQueues(context, onError);
  const policy = watchPolicy(redis, { onWarning: options.onWarning, known });
  const admission = openAdmission(redis, keys, policy);
  const submit = createSubmit({ ...context, admission, limits });
  const watch = openWatch(address.url, onError);
  const batches = openBatchStore({ redis, keys, admission, watch });
  const janitor = startJanitor({ ...context, onError });

  async function get(tenant: string, id: string): Promise<JobRecord | undefined> {
    const record = parseRecord(await redis.hgetall(keys.record(id)));
    return record?.tenant === tenant ? record : undefined;
  }

  async function list(tenant: string, query: ListQuery & { batchId?: string | undefined }): Promise<Page> {
    if (query.batchId === undefined) return listRecords(redis, keys, { ...query, tenant });
    const batch = await batches.get(tenant, query.batchId);
    if (batch === undefined) return { records: [], nextCursor: null };
    return listBatchJobs(redis, keys, { batch, order: 'descending', query });
  }

  async function readResult(tenant: string, id: string): Promise<KeptResult | undefined> {
    const record = await get(tenant, id);
    if (record === undefined) return undefined;
    if (record.resultObject !== null) return { kind: 'object', ...record.resultObject };
    const json = await redis.get(keys.result(id));
    return json === null ? undefined : { kind: 'inline', json };
  }

  async function retry(tenant: string | null, id: string): Promise<RetryAnswer> {
    const answer = await retryJob(redis, keys, { tenant, jobId: id });
    // It is due to whoever feeds the queue: should this fail, a worker does it.
    if (answer.kind === 'queued') await feed(context).catch(onError);
    return answer;
  }

  async function countJobs(): Promise<Record<'waiting' | 'active' | 'delayed', number>> {
    const counts = await queue.getJobCounts('wait', 'prioritized', 'active', 'delayed');
    const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = counts;
    const backlog = Number((await redis.get(keys.backlogSize)) ?? 0);
    return { waiting: wait + prioritized + backlog, active, delayed };
  }

  return {
    submit: (job) => answering(() => submit(job)),
    reserveKey: (wanted) => answering(() => reserveKey(redis, keys, wanted)),
    forgetKey: (reserved) => answering(() => forgetKey(redis, keys, reserved)),
    get: (tenant, id) => answering(() => get(tenant, id)),
    list: (tenant, query) => answering(() => list(tenant, query)),
    result: (tenant, id) => answering(() => readResult(tenant, id)),
    keptPages: (id) => answering(() => readKeptPages(redis, keys, id)),
    waitForEnd: (id, { timeoutMs, signal }) =>
      answering(() =>
        watch.wait(keys.changed(id), {
          timeoutMs,
          signal,
          isAwaited: isEnd,
          afterSubscribed: async () => isEnd(await redis.hget(keys.record(id), 'status')),
        }),
      ),
    follow: (id, onChange) => watch.follow(keys.changed(id), onChange),
    cancel: (tenant, jobId) => answering(() => cancelJob(context, { tenant, jobId })),
    retry: (tenant, id) => answering(() => retry(tenant, id)),
    delete: (tenant, jobId) => answering(() => deleteJob(redis, keys, { tenant, jobId })),
    deadLetters: (query) => answering(() => listDeadLetters(redis, keys, query)),
    deadLetterCount: () => answering(() => countDeadLetters(redis, keys)),
    microBatches: () => answering(() => readMicroBatches(redis, keys)),
    batches,
    usage: (tenant) => answering(() => readUsage(redis, keys, tenant)),
    scaling: (settings) => answering(() => readScaling(redis, keys, settings)),
    queueState: (name) => answering(() => queues.state(name)),
    pauseQueue: (name) => answering(() => queues.pause(name)),
    resumeQueue: (name) => answering(() => queues.resume(name)),
    models: () => answering(() => listModels(redis, keys)),
    counts: () => answering(countJobs),
    ping: () =>
      answering(async () => {
        policy.see(await redis.info('memory'));
        policy.expectKeeping();
      }),
    async close() {
      policy.close();
      janitor.close();
      watch.close();
      await Promise.all([queue.close(), queues.close()]);
      redis.disconnect();
    },
  };
}

/** Whether a state as told or stored means that nothing more will happen; null: the job is gone. */
function isEnd(status: string | null): boolean {
  const parsed = statusSchema.safeParse(status);
  return !parsed.success || isFinal(parsed.data);
}
