import type { Failure } from '@glyphmill/contract/failure';
import { newId } from '@glyphmill/contract/id';
import type { CacheOutcome, JobUsage, Timings, Usage, Warning } from '@glyphmill/contract/job';
import { type Task, taskSchema } from '@glyphmill/contract/message';
import type { Redis } from './connection.ts';
import { jobEvent } from './job-event.ts';
import { type KeptPage, markOf } from './kept-pages.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

/** One worker's try at one job. Its token is the fence: once another attempt begins, commits of this one are refused. */
export interface Attempt {
  jobId: string;
  tenant: string;
  task: Task;
  /** Counted from 1. */
  number: number;
  /** Earlier attempts whose process died while they read the document. */
  crashes: number;
  createdAtMs: number;
  /** By `performance.now()`: a worker's own time of day may be wrong. */
  deadlineMs: number | null;
  token: string;
}

/** What a commit needs to know of an attempt; `task` is null when the record's cannot be read. */
export type Claimant = Pick<Attempt, 'jobId' | 'tenant' | 'token'> & { task: Task | null };

export type Claim =
  | { kind: 'claimed'; attempt: Attempt }
  /** Somebody canceled the job while its worker died: the attempt has only to end it. */
  | { kind: 'canceling'; attempt: Claimant }
  | { kind: 'unreadable'; attempt: Claimant }
  | { kind: 'missing' }
  /** The job has ended, or is in a later round. */
  | { kind: 'final' };

/** Where the result is kept: in Redis, or in the system bucket when it is too large for that. */
export type KeptResult = { kind: 'inline'; json: string } | { kind: 'object'; bucket: string; key: string };

export type Outcome = Read | { status: 'failed' | 'expired'; failure: Failure } | { status: 'canceled' };

/** A document that was read, `partial` when some of its pages could not be. */
export interface Read {
  status: 'succeeded' | 'partial';
  result: KeptResult;
  warnings: Warning[];
  usage: Usage;
  timings: Timings;
  pagesFailed: number;
  /** What the result cache had to do with it; absent where there is none. */
  cache?: CacheOutcome;
  /** Where later jobs find this result, and of which version of the object it is. */
  cacheEntry?: { digest: string; version: string };
}

/** `final` and `fenced`: somebody else has ended the job or works on it; this attempt's outcome is void. */
export type CommitAnswer = 'ok' | 'missing' | 'final' | 'fenced';

/** `canceling`: nobody wants the job's result any more, and the attempt has to end it. */
export type AttemptAnswer = 'ok' | 'fenced' | 'canceling';

/** How long a job stays readable whose own wish cannot be read. */
const unreadableTtlSeconds = 86_400;
/** Turns in the backlog that one document may cost its tenant, however many pages it has. */
const maxDebt = 200;

const claimScript = loadScript('claim');
const beginScript = loadScript('begin');
const progressScript = loadScript('progress');
const releaseScript = loadScript('release');
const commitScript = loadScript('commit');

/**
 * Claims this round of the job for a new attempt, taking over from one that died. `worker` names the claiming process.
 */
export async function claim(
  redis: Redis,
  keys: Keys,
  { jobId, round, worker }: { jobId: string; round: number; worker: string },
): Promise<Claim> {
  const token = newId('att');
  const answer = await claimScript.run(redis, keys, {
    keys: [keys.record(jobId)],
    args: [token, Date.now(), worker, round],
  });
  const [kind, tenant = '', json = '', createdAt, number, crashes, left, status] = answerList(answer);
  if (kind === 'missing' || kind === 'final') return { kind };
  const task = parseTask(json);
  if (status === 'canceling') return { kind: 'canceling', attempt: { jobId, tenant, token, task } };
  if (task === null) return { kind: 'unreadable', attempt: { jobId, tenant, token, task } };
  return {
    kind: 'claimed',
    attempt: {
      jobId,
      tenant,
      task,
      number: Number(number),
      crashes: Number(crashes),
      createdAtMs: Number(createdAt),
      deadlineMs: left === '' ? null : performance.now() + Number(left),
      token,
    },
  };
}

export function parseTask(json: string): Task | null {
  try {
    return taskSchema.parse(JSON.parse(json));
  } catch {
    return null;
  }
}

/** Notes that the attempt has begun to read its document: until then its worker's death says nothing of the job. */
export async function begin(
  redis: Redis,
  keys: Keys,
  { attempt, worker }: { attempt: Attempt; worker: string },
): Promise<AttemptAnswer> {
  const { jobId, token } = attempt;
  return attemptAnswer(
    await beginScript.run(redis, keys, { keys: [keys.record(jobId)], args: [token, worker] }),
  );
}

export interface PagesProgress {
  pagesTotal: number;
  pagesDone: number;
  pagesFailed: number;
  /** Of the pages decoded so far. */
  megapixels: number;
  /** A page that can be read from now on. */
  kept?: KeptPage;
}

export async function reportProgress(
  redis: Redis,
  keys: Keys,
  { attempt, pages }: { attempt: Attempt; pages: PagesProgress },
): Promise<AttemptAnswer> {
  const { pagesTotal, pagesDone, pagesFailed, megapixels, kept } = pages;
  const page = kept === undefined ? ['', ''] : [kept.number, markOf(kept)];
  const args = [attempt.token, pagesTotal, pagesDone, pagesFailed, megapixels, maxDebt, ...page];
  return attemptAnswer(await progressScript.run(redis, keys, { keys: [keys.record(attempt.jobId)], args }));
}

/** Ends the attempt and leaves the job to a later one. */
export async function release(redis: Redis, keys: Keys, attempt: Attempt): Promise<AttemptAnswer> {
  const { jobId, token } = attempt;
  return attemptAnswer(await releaseScript.run(redis, keys, { keys: [keys.record(jobId)], args: [token] }));
}

function attemptAnswer(answer: unknown): AttemptAnswer {
  if (answer === 'ok' || answer === 'fenced' || answer === 'canceling') return answer;
  throw new Error(`unexpected answer of a script: ${String(answer)}`);
}

/** Ends the job: result, final state and webhook event in one step, at most once per job. */
export async function commit(
  redis: Redis,
  keys: Keys,
  { attempt, outcome }: { attempt: Claimant; outcome: Outcome },
): Promise<CommitAnswer> {
  const { jobId, tenant, task } = attempt;
  const nowMs = Date.now();
  const done = 'result' in outcome ? outcome : undefined;
  const failure = 'failure' in outcome ? outcome.failure : undefined;
  const inline = done?.result.kind === 'inline' ? done.result.json : '';
  const object = done?.result.kind === 'object' ? done.result : { bucket: '', key: '' };
  const event = jobEvent(
    {
      jobId,
      tenant,
      task,
      status: outcome.status,
      pages: done?.usage.pages ?? null,
      failure: failure ?? null,
    },
    { eventId: newId('evt'), nowMs },
  );
  // What was read in part may be read whole another time.
  const cacheEntry = done?.status === 'succeeded' ? done.cacheEntry : undefined;
  const answer = await commitScript.run(redis, keys, {
    keys: [keys.record(jobId), keys.result(jobId), keys.outbox, keys.expiry],
    args: [
      attempt.token,
      outcome.status,
      nowMs,
      (task?.ttlSeconds ?? unreadableTtlSeconds) * 1000,
      jsonOrEmpty(failure),
      jsonOrEmpty(done?.warnings),
      jsonOrEmpty(done && usageOf(done)),
      jsonOrEmpty(done?.timings),
      inline,
      object.bucket,
      object.key,
      jsonOrEmpty(event),
      jobId,
      done === undefined ? '' : done.usage.pages + done.pagesFailed,
      done?.pagesFailed ?? 0,
      event?.url ?? '',
      cacheEntry?.digest ?? '',
      cacheEntry?.version ?? '',
      new Date(nowMs).toISOString(),
    ],
  });
  if (answer === 'ok' || answer === 'missing' || answer === 'final' || answer === 'fenced') return answer;
  throw new Error(`unexpected answer of the commit script: ${String(answer)}`);
}

function usageOf({ usage, cache = 'bypass' }: Read): JobUsage {
  return { ...usage, cache };
}

function jsonOrEmpty(value: object | undefined): string {
  return value === undefined ? '' : JSON.stringify(value);
}
