import { type Failure, JobFailure, toFailure } from '@glyphmill/contract/failure';
import { newId } from '@glyphmill/contract/id';
import { messageSchema } from '@glyphmill/contract/message';
import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import { z } from 'zod';
import {
  type Attempt,
  begin,
  type CommitAnswer,
  claim,
  commit,
  type Outcome,
  release,
  reportProgress,
} from './attempt.ts';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

/** What one attempt at a job comes to. Throws a JobFailure, or anything else for an unexpected error. */
export type Handler = (
  attempt: Attempt,
  context: {
    signal: AbortSignal;
    /** To be called when the attempt begins to read the document, rather than wait for its turn. */
    begin: () => void;
    progress: (pages: { pagesTotal: number; pagesDone: number }) => void;
  },
) => Promise<Extract<Outcome, { status: 'succeeded' }>>;

/** How an attempt ended, for the one log line and the metrics. */
export interface AttemptReport {
  attempt: Attempt;
  ended: 'succeeded' | 'failed' | 'retried' | 'handed-back' | 'void';
  failure?: Failure;
  error?: unknown;
  commit?: CommitAnswer;
  durationMs: number;
}

export interface JobRunOptions {
  redis: Redis;
  keys: Keys;
  handler: Handler;
  onAttempt: (report: AttemptReport) => void;
  onWarning: (message: string) => void;
}

export interface JobRun {
  /** One attempt at a job that BullMQ handed out: claim, handle, commit; throws what tells BullMQ how it ended. */
  attempt(job: Job, held: { lock: string | undefined; signal: AbortSignal }): Promise<void>;
  /** Ends a job that the queue has given up by itself, and that would be called running for good. */
  endGivenUp(job: Job): Promise<void>;
}

/** Processes a job may take down with it before it ends as `worker-lost`. */
const maxCrashes = 3;
/** Wait of a job that this worker is too old for. */
const newerRetryMs = 5000;

const invalidJob: Failure = {
  code: 'invalid-job',
  message: 'What the queue holds of this job is damaged and cannot be read; submit the document again.',
  retryable: false,
  phase: 'queue',
};

const givenUp: Failure = {
  code: 'internal',
  message: 'The queue gave this job up before an attempt could end it; submit the document again.',
  retryable: true,
  phase: 'queue',
};

export function createJobRun({ redis, keys, handler, onAttempt, onWarning }: JobRunOptions): JobRun {
  const worker = newId('wrk');
  let lastSuspect: Promise<unknown> = Promise.resolve();
  return {
    async attempt(job, { lock, signal }) {
      if (isOfNewerProducer(job.data)) {
        onWarning(`job ${job.id} has a newer form than this worker reads and is left to a newer worker`);
        await job.moveToDelayed(Date.now() + newerRetryMs, lock);
        throw new DelayedError();
      }
      const attempt = await take(job);
      if (attempt === undefined) return;
      const begunMs = performance.now();
      const report = (end: Omit<AttemptReport, 'attempt' | 'durationMs'>) =>
        onAttempt({ attempt, durationMs: performance.now() - begunMs, ...end });
      try {
        const work = () => handle(attempt, signal);
        report(await finish(attempt, await (attempt.crashes > 0 ? alone(work) : work())));
      } catch (error) {
        if (signal.aborted) {
          await release(redis, keys, attempt);
          report({ ended: 'handed-back' });
          await job.moveToWait(lock);
          throw new WaitingError();
        }
        const failure = toFailure(error, 'queue');
        if (failure.retryable && hasAttemptsLeft(job)) {
          await release(redis, keys, attempt);
          report({ ended: 'retried', failure, error });
          throw error;
        }
        report({ ...(await finish(attempt, { status: 'failed', failure })), error });
        throw new UnrecoverableError(failure.code);
      }
    },
    async endGivenUp(job) {
      const claimed = await claim(redis, keys, { jobId: `${job.id}`, worker });
      if (claimed.kind === 'missing' || claimed.kind === 'final') return;
      onWarning(`job ${job.id} was given up by the queue: ${job.failedReason}`);
      const outcome = { status: 'failed', failure: givenUp } as const;
      await commit(redis, keys, { attempt: claimed.attempt, outcome });
    },
  };

  /** Undefined when the job has ended already. A damaged one ends here, since it would come back for ever. */
  async function take(job: Job): Promise<Attempt | undefined> {
    const message = messageSchema.safeParse(job.data);
    // The queue knows each job under its own id, so that it can be ended even where its message is damaged.
    const jobId = message.success ? message.data.jobId : `${job.id}`;
    const claimed = await claim(redis, keys, { jobId, worker });
    if (claimed.kind === 'missing' || claimed.kind === 'final') return undefined;
    if (claimed.kind === 'claimed' && message.success) return claimed.attempt;
    onWarning(`job ${job.id} cannot be read and ends as ${invalidJob.code}`);
    const outcome = { status: 'failed', failure: invalidJob } as const;
    await commit(redis, keys, { attempt: claimed.attempt, outcome });
    throw new UnrecoverableError(invalidJob.code);
  }

  /** Jobs that may have killed a worker take turns, so that the next death tells which of them it was. */
  async function alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = lastSuspect.then(work, work);
    lastSuspect = turn.catch(() => {});
    return turn;
  }

  async function handle(attempt: Attempt, signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    if (attempt.crashes >= maxCrashes) throw lost(attempt.crashes);
    const { jobId, token } = attempt;
    return handler(attempt, {
      signal,
      begin: () => {
        // Should this be lost with the connection, a death now is only not counted.
        begin(redis, keys, { attempt, worker }).catch(() => {});
      },
      progress: (pages) => {
        // Only for people to look at: when it is lost the next one tells the same.
        reportProgress(redis, keys, { jobId, token, ...pages }).catch(() => {});
      },
    });
  }

  async function finish(attempt: Attempt, outcome: Outcome) {
    const answer = await commit(redis, keys, { attempt, outcome });
    const failure = outcome.status === 'failed' ? { failure: outcome.failure } : {};
    return { ended: answer === 'ok' ? outcome.status : 'void', commit: answer, ...failure } as const;
  }
}

function hasAttemptsLeft({ opts, attemptsMade }: Job): boolean {
  return attemptsMade + 1 < (opts.attempts ?? 1);
}

const newerSchema = z.object({ v: z.int().min(2) });

/** Whether the message bears a version above ours: rolling out, new producers meet old workers. */
function isOfNewerProducer(data: unknown): boolean {
  return newerSchema.safeParse(data).success;
}

function lost(crashes: number): JobFailure {
  return new JobFailure({
    code: 'worker-lost',
    message: `The worker died ${crashes} times while it held this job; look at this document by hand.`,
    retryable: false,
    phase: 'queue',
  });
}
