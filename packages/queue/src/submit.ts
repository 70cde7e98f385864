import type { Admission } from './admission.ts';
import type { Redis } from './connection.ts';
import { createJob, type Limits, type NewJob } from './create.ts';
import { addToQueue, bullIdOf, type DocumentsQueue } from './documents-queue.ts';
import { IdempotencyConflict } from './errors.ts';
import type { JobRecord } from './job-record.ts';
import type { Keys } from './keys.ts';
import type { QuotaUsage } from './quota.ts';

export interface Submitted {
  record: JobRecord;
  /** What the tenant's open jobs add up to, this one included. */
  usage: QuotaUsage;
}

/** Accepts jobs: durable from one script on, then handed to BullMQ, which anybody may do should this process die. */
export function createSubmit(options: {
  redis: Redis;
  keys: Keys;
  queue: DocumentsQueue;
  admission: Admission;
  limits: Limits;
}): (job: NewJob) => Promise<Submitted> {
  const { redis, keys, queue, admission, limits } = options;
  return async (job) => {
    await admission.check('single');
    const nowMs = Date.now();
    const answer = await createJob(redis, keys, { job, limits, nowMs });
    switch (answer.kind) {
      case 'full':
      case 'quota':
        throw await admission.refusal(answer, { tenant: job.tenant, limits });
      case 'lost':
        throw new IdempotencyConflict(
          'in-progress',
          'Another request with this Idempotency-Key went ahead of this one; ask again with the same key.',
        );
      case 'exists':
        // The connection broke before the answer came, and the client sent the call once more. What was accepted is
        // in the backlog or under a lease.
        break;
      case 'closed':
        throw new Error(`the job ${job.id} cannot be made: ${answer.kind}`);
      case 'direct':
        // The job is accepted: should this fail, whoever feeds the queue adds it when the lease is over.
        await handOver(job).catch(() => {});
    }
    return { record: newRecord(job, nowMs), usage: answer.usage };
  };

  async function handOver({ id, tenant, task }: NewJob): Promise<void> {
    await addToQueue(queue, [{ jobId: id, tenant, priority: task.priority, round: 0 }]);
    await redis.zrem(keys.feeding, bullIdOf(id, 0));
  }
}

function newRecord({ id, tenant, task, deadlineMs }: NewJob, nowMs: number): JobRecord {
  return {
    id,
    tenant,
    task,
    status: 'queued',
    batch: null,
    createdAtMs: nowMs,
    startedAtMs: null,
    finishedAtMs: null,
    expiresAtMs: null,
    deadlineMs: deadlineMs ?? null,
    revision: 0,
    attempt: 0,
    progress: { pagesTotal: null, pagesDone: 0, pagesFailed: 0 },
    failure: null,
    warnings: [],
    usage: null,
    timings: null,
    resultObject: null,
  };
}
