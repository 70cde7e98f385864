import { type Failure, JobFailure, toFailure } from '@glyphmill/contract/failure';
import { messageSchema } from '@glyphmill/contract/message';
import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import { z } from 'zod';
import {
  type Attempt,
  type AttemptAnswer,
  begin,
  type Claimant,
  type CommitAnswer,
  claim,
  commit,
  type Outcome,
  type PagesProgress,
  type Read,
  release,
  reportProgress,
} from './attempt.ts';
import type { Redis } from './connection.ts';
import { firstRetryMs, parseBullId } from './documents-queue.ts';
import type { Keys } from './keys.ts';
import { createTurns } from './turns.ts';

/** What one attempt at a job comes to. Throws a JobFailure, or anything else for an unexpected error. */
export type Handler = (
  attempt: Attempt,
  context: {
    signal: AbortSignal;
    /** To be called when the attempt begins to read the document, rather than wait for its turn. */
    begin: () => void;
    progress: (pages: PagesProgress) => void;
  },
) => Promise<Read>;

/** How an attempt ended, for the one log line and the metrics. */
export interface AttemptReport {
  attempt: Attempt;
  ended: Outcome['status'] | 'retried' | 'handed-back' | 'void';
  failure?: Failure;
  error?: unknown;
  commit?: CommitAnswer;
  /** How long the commit took, of those that came to one. */
  commitMs?: number;
  /** Of the document, where it was read. */
  pages?: number;
  durationMs: number;
}

export interface JobRunOptions {
  redis: Redis;
  keys: Keys;
  /** Names this process. */
  worker: string;
  handler: Handler;
  onAttempt: (report: AttemptReport) => void;
  onWarning: (message: string) => void;
}

export interface JobRun {
  /** One attempt at a job that BullMQ handed out: claim, handle, commit; throws what tells BullMQ how it ended. */
  attempt(job: Job, held: { lock: string | undefined; signal: AbortSignal }): Promise<void>;
  /** Makes the attempt at this job, if one is in hand, leave at its next step and end the job as canceled. */
  cancel(jobId: string): void;
}

/** Attempts at a job that fails for reasons that may pass. */
const maxAttempts = 5;
/** Processes a job may take down with it before it ends as `worker-lost`. */
const maxCrashes = 3;
/** Times that a job may be lost with a worker or its connection, whoever is to blame. */
const maxStalls = 30;
/** When a job is looked at again that was found to be another attempt's. */
const lookAgainMs = 5000;
/** Wait of a job that this worker is too old for. */
const newerRetryMs = 5000;
/** Longer than any attempt lasts, and what a timer can hold. */
const longestTimerMs = 2 ** 31 - 1;

const invalidJob: Failure = {
  code: 'invalid-job',
  message: 'What the queue holds of this job is damaged and cannot be read; submit the document again.',
  retryable: false,
  phase: 'queue',
};

const pastDeadline: Failure = {
  code: 'deadline-exceeded',
  message:
    'The deadline passed before the document was read; submit it again with a later one, or add workers.',
  retryable: false,
  phase: 'queue',
};

const canceled: Outcome = { status: 'canceled' };
const expired: Outcome = { status: 'expired', failure: pastDeadline };

export function createJobRun({ redis, keys, worker, handler, onAttempt, onWarning }: JobRunOptions): JobRun {
  const takeTurn = createTurns();
  /** Of the attempts in hand: how to end them early. */
  const leaving = new Map<string, (outcome: Outcome) => void>();
  return {
    async attempt(job, { lock, signal }) {
      if (isOfNewerProducer(job.data)) {
        onWarning(`job ${job.id} has a newer form than this worker reads and is left to a newer worker`);
        await job.moveToDelayed(Date.now() + newerRetryMs, lock);
        throw new DelayedError();
      }
      const attempt = await take(job, lock);
      if (attempt === undefined) return;
      const begunMs = performance.now();
      const report = (end: Omit<AttemptReport, 'attempt' | 'durationMs'>) =>
        onAttempt({ attempt, durationMs: performance.now() - begunMs, ...end });
      const early = endEarly(attempt);
      let end: Omit<AttemptReport, 'attempt' | 'durationMs'>;
      try {
        const either = AbortSignal.any([signal, early.signal]);
        const work = () => handle(attempt, job, { signal: either, leave: early.leave });
        // Jobs that may have killed a worker take turns, so that the next death tells which of them it was.
        end = await finish(attempt, await (attempt.crashes > 0 ? takeTurn(work, either) : work()));
      } catch (error) {
        const failure = toFailure(error, 'queue');
        const isRetried = failure.retryable && hasAttemptsLeft(job) && hasTimeLeft(job, attempt);
        const isReleased =
          early.outcome() === undefined &&
          (signal.aborted || isRetried) &&
          (await release(redis, keys, attempt)) !== 'canceling';
        if (isReleased && signal.aborted) {
          report({ ended: 'handed-back' });
          await job.moveToWait(lock);
          throw new WaitingError();
        }
        if (isReleased) {
          report({ ended: 'retried', failure, error });
          throw error;
        }
        const other = signal.aborted || isRetried ? canceled : { status: 'failed' as const, failure };
        const outcome = early.outcome() ?? other;
        end = { ...(await finish(attempt, outcome)), ...(outcome.status === 'failed' ? { error } : {}) };
      } finally {
        early.clear();
      }
      report(end);
      if (end.commit === 'fenced') await leaveInQueue(job, lock);
      if (end.ended === 'failed') throw new UnrecoverableError(end.failure?.code);
    },
    cancel: (jobId) => leaving.get(jobId)?.(canceled),
  };

  /** Undefined when the job has ended already. A damaged one ends here, since it would come back for ever. */
  async function take(job: Job, lock: string | undefined): Promise<Attempt | undefined> {
    // The queue knows each job under its own name, so that it can be ended even where its message is damaged.
    const claimed = await claim(redis, keys, { ...parseBullId(`${job.id}`), worker });
    if (claimed.kind === 'missing' || claimed.kind === 'final') return undefined;
    if (claimed.kind === 'claimed' && messageSchema.safeParse(job.data).success) return claimed.attempt;
    const isCanceled = claimed.kind === 'canceling';
    if (!isCanceled) onWarning(`job ${job.id} cannot be read and ends as ${invalidJob.code}`);
    const outcome: Outcome = isCanceled ? canceled : { status: 'failed', failure: invalidJob };
    const answer = await commit(redis, keys, { attempt: claimed.attempt, outcome });
    if (answer === 'fenced') await leaveInQueue(job, lock);
    if (isCanceled) return undefined;
    throw new UnrecoverableError(invalidJob.code);
  }

  /**
   * The job is another attempt's by now, which may hold nothing in BullMQ, having come too late to it: BullMQ has to keep
   * the job until somebody finds it ended.
   */
  async function leaveInQueue(job: Job, lock: string | undefined): Promise<never> {
    await job.moveToDelayed(Date.now() + lookAgainMs, lock);
    throw new DelayedError();
  }

  async function handle(
    attempt: Attempt,
    { stalledCounter }: Job,
    { signal, leave }: { signal: AbortSignal; leave: (outcome: Outcome) => void },
  ): Promise<Outcome> {
    signal.throwIfAborted();
    if (attempt.crashes >= maxCrashes)
      throw lost(`The worker died ${attempt.crashes} times while it held this job`);
    if (stalledCounter > maxStalls) throw lost(`This job was lost ${stalledCounter} times with its worker`);
    // A worker that was not told of a cancellation, its connection being away, hears of it here. So does one whose job
    // is another attempt's by now: it may stop as well, and what it commits is refused anyway.
    const heed = (answer: AttemptAnswer) => {
      if (answer !== 'ok') leave(canceled);
    };
    return handler(attempt, {
      signal,
      begin: () => {
        // Should this be lost with the connection, a death now is only not counted.
        begin(redis, keys, { attempt, worker }).then(heed, () => {});
      },
      progress: (pages) => {
        // Only for people to look at: when it is lost the next one tells the same.
        reportProgress(redis, keys, { attempt, pages }).then(heed, () => {});
      },
    });
  }

  /** What ends an attempt before its handler is done: somebody cancels the job, or its deadline passes. */
  function endEarly({ jobId, deadlineMs }: Attempt) {
    const controller = new AbortController();
    let outcome: Outcome | undefined;
    const leave = (wanted: Outcome) => {
      outcome ??= wanted;
      controller.abort();
    };
    leaving.set(jobId, leave);
    const leftMs = deadlineMs === null ? Number.POSITIVE_INFINITY : deadlineMs - performance.now();
    if (leftMs <= 0) leave(expired);
    const timer = leftMs < longestTimerMs ? setTimeout(leave, leftMs, expired) : undefined;
    return {
      signal: controller.signal,
      leave,
      outcome: () => outcome,
      clear: () => {
        clearTimeout(timer);
        if (leaving.get(jobId) === leave) leaving.delete(jobId);
      },
    };
  }

  async function finish(attempt: Claimant, outcome: Outcome) {
    const begunMs = performance.now();
    const answer = await commit(redis, keys, { attempt, outcome });
    const commitMs = performance.now() - begunMs;
    const failure = 'failure' in outcome ? { failure: outcome.failure } : {};
    const pages = 'result' in outcome ? { pages: outcome.usage.pages + outcome.pagesFailed } : {};
    return {
      ended: answer === 'ok' ? outcome.status : 'void',
      commit: answer,
      commitMs,
      ...failure,
      ...pages,
    } as const;
  }
}

function hasAttemptsLeft({ attemptsMade }: Job): boolean {
  return attemptsMade + 1 < maxAttempts;
}

/** Whether another attempt could begin before the deadline; waiting past it would hide why this one failed. */
function hasTimeLeft({ attemptsMade }: Job, { deadlineMs }: Attempt): boolean {
  return deadlineMs === null || performance.now() + firstRetryMs * 2 ** attemptsMade < deadlineMs;
}

const newerSchema = z.object({ v: z.int().min(2) });

/** Whether the message bears a version above ours: rolling out, new producers meet old workers. */
function isOfNewerProducer(data: unknown): boolean {
  return newerSchema.safeParse(data).success;
}

function lost(what: string): JobFailure {
  return new JobFailure({
    code: 'worker-lost',
    message: `${what}; look at this document by hand.`,
    retryable: false,
    phase: 'queue',
  });
}
