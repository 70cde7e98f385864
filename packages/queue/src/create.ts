import type { Task } from '@glyphmill/contract/message';
import type { Redis } from './connection.ts';
import { leaseMs, shortQueue } from './feeder.ts';
import { type IdempotencyKey, idempotencyLifetimeMs, idempotencyRecord } from './idempotency.ts';
import type { Keys } from './keys.ts';
import { type QuotaUnit, type QuotaUsage, quotaUnits, toUsage } from './quota.ts';
import { answerList, loadScript, type ScriptCall } from './script.ts';

export interface NewJob {
  id: string;
  tenant: string;
  task: Task;
  /** Milliseconds since 1970. */
  deadlineMs?: number | undefined;
  /** The batch it belongs to, and its place in there. */
  batch?: { id: string; index: number } | undefined;
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
  | { kind: 'lost' }
  /** Its batch was canceled. */
  | { kind: 'closed' };

const createScript = loadScript('create');

/** Writes a job down, if there is room: it is durable from then on, whatever becomes of the caller. */
export async function createJob(
  redis: Redis,
  keys: Keys,
  { job, limits, nowMs }: { job: NewJob; limits: Limits; nowMs: number },
): Promise<CreateAnswer> {
  return answerOf(await createScript.run(redis, keys, callOf(keys, { job, limits, nowMs })));
}

/** The same for many in one go; of each the answer, or the error that kept Redis from it. */
export async function createJobs(
  redis: Redis,
  keys: Keys,
  { jobs, limits, nowMs }: { jobs: readonly NewJob[]; limits: Limits; nowMs: number },
): Promise<(CreateAnswer | Error)[]> {
  const calls = jobs.map((job) => callOf(keys, { job, limits, nowMs }));
  const answers = await createScript.runAll(redis, keys, calls);
  return answers.map((answer) => (answer instanceof Error ? answer : answerOf(answer)));
}

function callOf(
  keys: Keys,
  { job, limits, nowMs }: { job: NewJob; limits: Limits; nowMs: number },
): ScriptCall {
  const { id, tenant, task, deadlineMs, batch, idempotencyKey } = job;
  const record = keys.record(id);
  return {
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
      batch?.id ?? '',
      batch?.index ?? 0,
    ],
  };
}

function answerOf(answer: unknown): CreateAnswer {
  const [kind, ...values] = answerList(answer);
  switch (kind) {
    case 'direct':
    case 'backlog':
    case 'exists':
      return { kind, usage: toUsage(values) };
    case 'lost':
    case 'closed':
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
