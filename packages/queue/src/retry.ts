import { newId } from '@glyphmill/contract/id';
import type { Redis } from './connection.ts';
import { shortQueue } from './feeder.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

type Place = { bucket: string; key: string };

export type RetryAnswer =
  /** Queued again; `voidResult` is the object of the partial result that nobody can reach any more. */
  { kind: 'queued'; voidResult: Place | null } | { kind: 'refused'; status: string } | { kind: 'missing' };

export type DeleteAnswer =
  /** Forgotten; `task` and `result` tell which objects are still to be removed. */
  | { kind: 'deleted'; task: string; result: Place | null }
  | { kind: 'open'; status: string }
  | { kind: 'missing' };

const retryScript = loadScript('retry');
const deleteScript = loadScript('delete');

/** Opens a failed, partial or expired job again; `tenant` null is the operator, who may with anybody's. */
export async function retryJob(
  redis: Redis,
  keys: Keys,
  { tenant, jobId }: { tenant: string | null; jobId: string },
): Promise<RetryAnswer> {
  const answer = await retryScript.run(redis, keys, {
    keys: [keys.record(jobId), keys.result(jobId), keys.expiry],
    args: [tenant ?? '', jobId, shortQueue, newId('evt')],
  });
  const [kind, second = '', third = ''] = answerList(answer);
  if (kind === 'missing') return { kind };
  if (kind === 'refused') return { kind, status: second };
  return { kind: 'queued', voidResult: placeOf(second, third) };
}

/** Forgets a job that has ended. */
export async function deleteJob(
  redis: Redis,
  keys: Keys,
  { tenant, jobId }: { tenant: string; jobId: string },
): Promise<DeleteAnswer> {
  const answer = await deleteScript.run(redis, keys, {
    keys: [keys.record(jobId), keys.result(jobId), keys.expiry],
    args: [tenant, jobId],
  });
  const [kind, second = '', bucket = '', key = ''] = answerList(answer);
  if (kind === 'missing') return { kind };
  if (kind === 'open') return { kind, status: second };
  return { kind: 'deleted', task: second, result: placeOf(bucket, key) };
}

function placeOf(bucket: string, key: string): Place | null {
  return key === '' ? null : { bucket, key };
}
