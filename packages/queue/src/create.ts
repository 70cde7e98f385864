import type { Task } from '@glyphmill/contract/message';
import type { Redis } from './connection.ts';
import { leaseMs, shortQueue } from './feeder.ts';
import { type IdempotencyKey, idempotencyLifetimeMs, idempotencyRecord } from './idempotency.ts';
import type { Keys } from './keys.ts';
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
  tenant: { jobs: number; pages: number; megapixels: number };
}

export type QuotaUnit = keyof Limits['tenant'];

export type CreateAnswer =
  /** `direct`: to be added to BullMQ's queue by the caller. `tenantJobs`: open jobs of the tenant, this one included. */
  | { kind: 'direct' | 'backlog'; tenantJobs: number }
  | { kind: 'exists' }
  | { kind: 'full'; waiting: number }
  | { kind: 'quota'; unit: QuotaUnit; used: number }
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
  const [kind, second, third] = answerList(answer);
  switch (kind) {
    case 'direct':
    case 'backlog':
      return { kind, tenantJobs: Number(second) };
    case 'exists':
    case 'lost':
      return { kind };
    case 'full':
      return { kind, waiting: Number(second) };
    case 'quota':
      if (second === 'jobs' || second === 'pages' || second === 'megapixels') {
        return { kind, unit: second, used: Number(third) };
      }
  }
  throw new Error(`unexpected answer of the create script: ${kind}`);
}
