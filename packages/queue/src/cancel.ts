import type { Failure } from '@glyphmill/contract/failure';
import { newId } from '@glyphmill/contract/id';
import { type Claimant, commit, parseTask } from './attempt.ts';
import type { Redis } from './connection.ts';
import { bullIdOf, type DocumentsQueue } from './documents-queue.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

/** `canceled`: it waited and will never start; `canceling`: its worker was told and ends it; `final`: too late. */
export type CancelAnswer = 'canceled' | 'canceling' | 'final' | 'missing';

export interface CancelContext {
  redis: Redis;
  keys: Keys;
  queue: DocumentsQueue;
}

/** Jobs whose deadline has passed that are looked at in one go. */
const mostDue = 100;
/** A job that runs ends itself at its deadline; it is looked at again after this long. */
const lookAgainMs = 10_000;

const takeScript = loadScript('take');

const expired: Failure = {
  code: 'deadline-exceeded',
  message:
    'The deadline passed before the job could be read; submit it again with a later one, or add workers.',
  retryable: false,
  phase: 'queue',
};

/** Cancels a tenant's job: one that waits at once, one that runs at its worker's next step. */
export async function cancelJob(
  context: CancelContext,
  { tenant, jobId }: { tenant: string; jobId: string },
): Promise<CancelAnswer> {
  const taken = await take(context, { jobId, tenant, why: 'cancel' });
  if (taken.kind === 'told') return 'canceling';
  if (taken.kind !== 'taken') return taken.kind;
  const { redis, keys } = context;
  const answer = await commit(redis, keys, { attempt: taken.attempt, outcome: { status: 'canceled' } });
  // A worker that claimed it meanwhile has found it canceling, and ends it.
  if (answer === 'fenced') return 'canceling';
  await removeFromQueue(context, taken);
  return answer === 'ok' ? 'canceled' : answer;
}

/** Ends waiting jobs whose deadline has passed. Resolves with their number. */
export async function expireDue(context: CancelContext, nowMs: number): Promise<number> {
  const { redis, keys } = context;
  const due = await redis.zrangebyscore(keys.deadlines, '-inf', nowMs, 'LIMIT', 0, mostDue);
  let count = 0;
  for (const jobId of due) {
    const taken = await take(context, { jobId, tenant: '', why: 'expire' });
    if (taken.kind === 'told') await redis.zadd(keys.deadlines, 'XX', nowMs + lookAgainMs, jobId);
    else if (taken.kind !== 'taken') await redis.zrem(keys.deadlines, jobId);
    else {
      const outcome = { status: 'expired', failure: expired } as const;
      const answer = await commit(redis, keys, { attempt: taken.attempt, outcome });
      // A worker that claimed it meanwhile needs it there.
      if (answer === 'fenced') continue;
      await removeFromQueue(context, taken);
      if (answer === 'ok') count += 1;
    }
  }
  return count;
}

type Taken = { kind: 'missing' | 'final' | 'told' } | { kind: 'taken'; attempt: Claimant; bullId: string };

async function take(
  { redis, keys }: CancelContext,
  { jobId, tenant, why }: { jobId: string; tenant: string; why: 'cancel' | 'expire' },
): Promise<Taken> {
  const token = newId('att');
  const answer = await takeScript.run(redis, keys, {
    keys: [keys.record(jobId)],
    args: [token, why, tenant],
  });
  const [kind, owner = '', json = '', round] = answerList(answer);
  if (kind === 'missing' || kind === 'final' || kind === 'told') return { kind };
  return {
    kind: 'taken',
    attempt: { jobId, tenant: owner, token, task: parseTask(json) },
    bullId: bullIdOf(jobId, Number(round)),
  };
}

/** What stays there would only be claimed, found final, and left; so that a failure here harms nothing. */
async function removeFromQueue({ queue }: CancelContext, { bullId }: { bullId: string }): Promise<void> {
  await queue.remove(bullId).catch(() => 0);
}
