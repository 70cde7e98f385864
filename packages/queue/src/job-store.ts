import type { Status } from '@glyphmill/contract/job';
import { isFinal } from '@glyphmill/contract/job';
import type { Message, Task } from '@glyphmill/contract/message';
import type { Model } from '@glyphmill/contract/model';
import type { Priority } from '@glyphmill/contract/request';
import { Queue } from 'bullmq';
import { openAdmission } from './admission.ts';
import type { KeptResult } from './attempt.ts';
import { connectProducer, type OnConnectionError, type Redis, ready } from './connection.ts';
import { answering, QueueUnavailable } from './errors.ts';
import { type JobRecord, parseRecord } from './job-record.ts';
import { documentsQueue, keysOf, type QueueAddress } from './keys.ts';
import { type ListQuery, listRecords } from './list.ts';
import { listModels } from './model-registry.ts';
import { requireKeepingRedis } from './redis-policy.ts';
import { loadScript } from './script.ts';
import { openWatch } from './watch.ts';

/** What the API needs of the queue. Every method throws QueueUnavailable when Redis does not answer in time. */
export interface JobStore {
  /** Resolves once the job is in Redis and in the queue. Throws QueueFull when it may not wait there. */
  submit(job: { id: string; tenant: string; task: Task }): Promise<JobRecord>;
  /** Undefined also for another tenant's job. */
  get(tenant: string, id: string): Promise<JobRecord | undefined>;
  /** Newest first. Throws RangeError on a cursor that is none of ours. */
  list(tenant: string, query: ListQuery): Promise<{ records: JobRecord[]; nextCursor: string | null }>;
  result(tenant: string, id: string): Promise<KeptResult | undefined>;
  /** Resolves when the job has ended, `timeoutMs` are over, or earlier: the caller then looks again. */
  waitForEnd(id: string, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void>;
  models(): Promise<Model[]>;
  counts(): Promise<Record<'waiting' | 'active' | 'delayed', number>>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface JobStoreOptions {
  /** Most jobs that may wait; one more is refused. */
  maxWaiting: number;
  onError: OnConnectionError;
  /** Told at the start what this Redis may lose. */
  onWarning: (message: string) => void;
}

/** Attempts at one job that fails with transient errors; a job whose process died is counted apart. */
const maxAttempts = 5;
const firstRetryMs = 1000;
/** How long a record lives that the queue has not taken yet: its producer died in between. */
const provisionalMs = 60_000;
const startDeadlineMs = 10_000;

/** BullMQ runs jobs without a priority first, then by ascending number. */
const bullPriority: Record<Priority, number> = { high: 0, normal: 5, low: 10 };

const createScript = loadScript('create');
const keepScript = loadScript('keep');

/** Throws RedisPolicyError when Redis would throw jobs away. */
export async function openJobStore(address: QueueAddress, options: JobStoreOptions): Promise<JobStore> {
  const keys = keysOf(address.shard);
  const redis = connectProducer(address.url, options.onError);
  await ready(redis, startDeadlineMs);
  await requireKeepingRedis(redis, options.onWarning);
  const queue = openQueue(redis, keys.prefix, options.onError);
  const admission = openAdmission(redis);
  const watch = openWatch(address.url, options.onError);

  async function get(tenant: string, id: string): Promise<JobRecord | undefined> {
    const record = parseRecord(await redis.hgetall(keys.record(id)));
    return record?.tenant === tenant ? record : undefined;
  }

  return {
    submit: ({ id, tenant, task }) =>
      answering(async () => {
        await admission.check();
        const nowMs = Date.now();
        const answer = await createScript.run(
          redis,
          [keys.record(id), keys.tenantJobs(tenant), keys.expiry, ...keys.waiting],
          [id, tenant, JSON.stringify(task), nowMs, provisionalMs, options.maxWaiting],
        );
        if (answer === 'full') throw admission.full(options.maxWaiting);
        const message: Message = { v: 1, jobId: id, tenant };
        await queue.add('document', message, { jobId: id, priority: bullPriority[task.priority] });
        const kept = await keepScript.run(redis, [keys.record(id), keys.expiry], [`${tenant}\n${id}`]);
        if (kept === 'missing') throw new QueueUnavailable('the record expired before the queue had its job');
        return newRecord({ id, tenant, task, nowMs });
      }),
    get: (tenant, id) => answering(() => get(tenant, id)),
    list: (tenant, query) => answering(() => listRecords(redis, keys, { ...query, tenant })),
    result: (tenant, id) =>
      answering(async () => {
        const record = await get(tenant, id);
        if (record === undefined) return undefined;
        if (record.resultObject !== null) return { kind: 'object', ...record.resultObject };
        const json = await redis.get(keys.result(id));
        return json === null ? undefined : { kind: 'inline', json };
      }),
    waitForEnd: (id, { timeoutMs, signal }) =>
      answering(() =>
        watch.wait(keys.ended(id), {
          timeoutMs,
          signal,
          afterSubscribed: () => hasEnded(redis, keys.record(id)),
        }),
      ),
    models: () => answering(() => listModels(redis, keys)),
    counts: () =>
      answering(async () => {
        const counts = await queue.getJobCounts('wait', 'prioritized', 'active', 'delayed');
        const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = counts;
        return { waiting: wait + prioritized, active, delayed };
      }),
    ping: () =>
      answering(async () => {
        await redis.ping();
      }),
    async close() {
      watch.close();
      await queue.close();
      redis.disconnect();
    },
  };
}

function openQueue(connection: Redis, prefix: string, onError: OnConnectionError): Queue<Message> {
  const queue = new Queue<Message>(documentsQueue, {
    connection,
    prefix,
    // Our records are what people read; BullMQ's are kept only to be looked at while something is wrong.
    defaultJobOptions: {
      attempts: maxAttempts,
      backoff: { type: 'exponential', delay: firstRetryMs, jitter: 0.5 },
      removeOnComplete: { age: 3600, count: 1000 },
      removeOnFail: { age: 86_400, count: 10_000 },
    },
    streams: { events: { maxLen: 1000 } },
  });
  queue.on('error', onError);
  return queue;
}

async function hasEnded(redis: Redis, recordKey: string): Promise<boolean> {
  const status = await redis.hget(recordKey, 'status');
  const ended: readonly (string | null)[] = [null, ...finalStatuses];
  return ended.includes(status);
}

const statuses: Status[] = ['queued', 'running', 'succeeded', 'failed'];
const finalStatuses = statuses.filter(isFinal);

function newRecord(job: { id: string; tenant: string; task: Task; nowMs: number }): JobRecord {
  return {
    id: job.id,
    tenant: job.tenant,
    task: job.task,
    status: 'queued',
    createdAtMs: job.nowMs,
    startedAtMs: null,
    finishedAtMs: null,
    expiresAtMs: null,
    attempt: 0,
    progress: { pagesTotal: null, pagesDone: 0 },
    failure: null,
    warnings: [],
    usage: null,
    timings: null,
    resultObject: null,
  };
}
