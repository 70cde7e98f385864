import type { Task } from '@glyphmill/contract/message';
import type { Redis } from './connection.ts';
import { leaseMs, shortQueue } from './feeder.ts';
import { type IdempotencyKey, idempotencyLifetimeMs, idempotencyRecord } from './idempotency.ts';
import type { Keys } from './keys.ts';
import { type QuotaUnit, type QuotaUsage, quotaUnits, toUsage } from './quota.ts';
import { answerList, loadScript } from './script.ts';

export interface NewJob {
  id: string;
  tenant: string;
  task: Task;
  /** Milliseconds since 1970. */
  deadlineMs?: number | undefined;
  /** Reserved for this job; the job is its answer from now on. */
  idempotencyKey?: IdempotencyKey | undefined;
}

export interface Limits {
  /** Most jobs of all tenants that may wait. */
  maxWaiting: number;
  /** What the open jobs of one tenant may add up to: one more is refused once a sum is reached. */
  tenant: QuotaUsage;
}

export type CreateAnswer =
  /** `direct`: to be added to BullMQ's queue by the caller. The tenant's usage includes this job. */
  | { kind: 'direct' | 'backlog'; usage: QuotaUsage }
  /** The job was written down before, by this very call. */
  | { kind: 'exists'; usage: QuotaUsage }
  | { kind: 'full'; waiting: number }
  | { kind: 'quota'; unit: QuotaUnit; usage: QuotaUsage }
  /** The reservation of the idempotency key ran out, and another request has it now. */
  | { kind: 'lost' };

const createScript = loadScript('create');

/** Writes a job down, if there is room: it is durable from then on, whatever becomes of the caller. */
export async function createJob(
  redis: Redis,
  keys: Keys,
  { job, limits, nowMs }: { job: NewJob; limits: Limits; nowMs: number },
): Promise<CreateAnswer> {
  const { id, tenant, task, deadlineMs, idempotencyKey } = job;
  const record = keys.record(id);
  const answer = await createScript.run(redis, keys, {
    keys: [record, idempotencyKey === undefined ? record : idempotencyRecord(keys, tenant, idempotencyKey)],
    args: [
      id,
      tenant,
      JSON.stringify(task),
      nowMs,
      task.priority,
      deadlineMs ?? '',
      limits.maxWaiting,
      limits.tenant.jobs,
      limits.tenant.pages,
      limits.tenant.megapixels,
      shortQueue,
      leaseMs,
      idempotencyLifetimeMs,
    ],
  });
  const [kind, ...values] = answerList(answer);
  switch (kind) {
    case 'direct':
    case 'backlog':
    case 'exists':
      return { kind, usage: toUsage(values) };
    case 'lost':
      return { kind };
    case 'full':
      return { kind, waiting: Number(values[0]) };
    case 'quota': {
      const unit = quotaUnits.find((name) => name === values[0]);
      if (unit !== undefined) return { kind, unit, usage: toUsage(values.slice(1)) };
    }
  }
  throw new Error(`unexpected answer of the create script: ${kind}`);
}
