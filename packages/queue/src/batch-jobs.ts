import type { WaitReason } from '@glyphmill/contract/batch';
import type { BatchEntry } from '@glyphmill/contract/batch-plan';
import { batchJobId } from './batch-job-id.ts';
import type { BatchRecord } from './batch-record.ts';
import type { Redis } from './connection.ts';
import { type CreateAnswer, createJobs, type Limits, type NewJob } from './create.ts';
import { addToQueue, type DocumentsQueue } from './documents-queue.ts';
import type { Keys } from './keys.ts';

/**
 * What jobs by the thousand may use up of the queue and of their tenant's quota; the rest stays for single ones, which
 * would be refused while a batch only waits.
 */
const bulkShare = 0.9;

export function bulkLimits({ maxWaiting, tenant: { jobs, pages, megapixels } }: Limits): Limits {
  const share = (most: number) => Math.max(1, Math.floor(most * bulkShare));
  return { maxWaiting: share(maxWaiting), tenant: { jobs: share(jobs), pages, megapixels } };
}

/**
 * Makes the jobs of a batch that these entries stand for, in one go; one that is made already stays as it is.
 * Resolves with how many are new, and why there are not all of them yet, if so.
 */
export async function makeJobs(
  { redis, keys, queue, limits }: { redis: Redis; keys: Keys; queue: DocumentsQueue; limits: Limits },
  batch: BatchRecord,
  entries: readonly BatchEntry[],
): Promise<{ made: number; short: WaitReason | 'closed' | null }> {
  if (entries.length === 0) return { made: 0, short: null };
  const jobs = entries.map((entry) => jobOf(batch, entry));
  const answers = await createJobs(redis, keys, { jobs, limits, nowMs: Date.now() });
  const direct = jobs.filter((_, position) => isKind(answers[position], 'direct'));
  // They are accepted: should this fail, whoever feeds the queue adds them when the lease is over.
  if (direct.length > 0) await handOver(direct).catch(() => {});
  const backlog = answers.filter((answer) => isKind(answer, 'backlog'));
  return { made: direct.length + backlog.length, short: shortOf(answers) };

  async function handOver(accepted: readonly NewJob[]): Promise<void> {
    await addToQueue(
      queue,
      accepted.map(({ id, tenant, task }) => ({ jobId: id, tenant, priority: task.priority, round: 0 })),
    );
    await redis.zrem(keys.feeding, ...accepted.map(({ id }) => id));
  }
}

function jobOf({ id, tenant, plan }: BatchRecord, { index, ...own }: BatchEntry): NewJob {
  return {
    id: batchJobId(id, index),
    tenant,
    task: { ...plan.task, ...own },
    deadlineMs: plan.deadlineMs ?? undefined,
    batch: { id, index },
  };
}

function isKind(answer: CreateAnswer | Error | undefined, kind: CreateAnswer['kind']): boolean {
  return answer !== undefined && 'kind' in answer && answer.kind === kind;
}

function shortOf(answers: readonly (CreateAnswer | Error)[]): WaitReason | 'closed' | null {
  if (answers.some((answer) => isKind(answer, 'closed'))) return 'closed';
  if (answers.some((answer) => isKind(answer, 'quota'))) return 'quota-exceeded';
  if (answers.some((answer) => isKind(answer, 'full'))) return 'queue-full';
  const error = answers.find((answer) => answer instanceof Error);
  if (error instanceof Error) throw error;
  return null;
}
