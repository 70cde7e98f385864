import { type Failure, JobFailure, toFailure } from '@glyphmill/contract/failure';
import { messageSchema } from '@glyphmill/contract/message';
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { z } from 'zod';
import {
  type Attempt,
  type CommitAnswer,
  claim,
  commit,
  type Outcome,
  release,
  reportProgress,
} from './attempt.ts';
import { connectConsumer, ready } from './connection.ts';
import { documentsQueue, keysOf, type QueueAddress } from './keys.ts';
import { type AnnouncedModel, announceEveryMs, announceModels } from './model-registry.ts';
import { requireKeepingRedis } from './redis-policy.ts';

/** What one attempt at a job comes to. Throws a JobFailure, or anything else for an unexpected error. */
export type Handler = (
  attempt: Attempt,
  context: { signal: AbortSignal; progress: (pages: { pagesTotal: number; pagesDone: number }) => void },
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

export interface ConsumerOptions {
  address: QueueAddress;
  /** Jobs in hand at once. */
  concurrency: number;
  handler: Handler;
  models: () => readonly AnnouncedModel[];
  onAttempt: (report: AttemptReport) => void;
  onWarning: (message: string, error?: Error) => void;
}

export interface Consumer {
  ping(): Promise<void>;
  /** Takes no more jobs, lets those in hand end, and after `graceMs` hands the rest back to the queue. */
  close(graceMs: number): Promise<void>;
}

/** A worker that holds a job renews its lock; after this long without renewal another worker takes over. */
const lockDurationMs = 15_000;
const stalledIntervalMs = 5000;
/** BullMQ's own limit on stalls; ours on crashes, below, comes first and gives a reason. */
const maxStalledCount = 10;
/** Processes a job may take down with it before it ends as `worker-lost`. */
const maxCrashes = 3;
const startDeadlineMs = 10_000;
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

/** Works through the queue until closed. Throws when Redis cannot be reached or would lose jobs. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const keys = keysOf(options.address.shard);
  const redis = connectConsumer(options.address.url, (error) => options.onWarning('Redis connection', error));
  await ready(redis, startDeadlineMs);
  const announce = () => announceModels(redis, keys, options.models());
  await requireKeepingRedis(redis, options.onWarning);
  try {
    await announce();
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  const announcing = setInterval(() => {
    announce().catch((error: Error) => options.onWarning('could not announce the models', error));
  }, announceEveryMs);

  const worker = new Worker(
    documentsQueue,
    (job, lock, signal) => processJob(job, { lock, signal: signal ?? new AbortController().signal }),
    {
      connection: redis,
      prefix: keys.prefix,
      concurrency: options.concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      maxStalledCount,
      drainDelay: 5,
    },
  );
  worker.on('error', (error) => options.onWarning('queue', error));
  worker.on('failed', (job) => {
    // Without the time it is only between two attempts.
    if (job?.finishedOn === undefined) return;
    endGivenUp(job).catch((error: Error) => options.onWarning(`could not end job ${job.id}`, error));
  });

  async function processJob(job: Job, { lock, signal }: { lock: string | undefined; signal: AbortSignal }) {
    const message = messageSchema.safeParse(job.data);
    if (isOfNewerProducer(job.data)) {
      options.onWarning(
        `job ${job.id} has a newer form than this worker reads and is left to a newer worker`,
      );
      await job.moveToDelayed(Date.now() + newerRetryMs, lock);
      throw new DelayedError();
    }
    // The queue knows each job under its own id, so that it can be ended even where its message is damaged.
    const claimed = await claim(redis, keys, message.success ? message.data.jobId : `${job.id}`);
    if (claimed.kind === 'missing' || claimed.kind === 'final') return;
    if (claimed.kind === 'unreadable' || !message.success) {
      options.onWarning(`job ${job.id} cannot be read and ends as ${invalidJob.code}`);
      await commit(redis, keys, {
        attempt: claimed.attempt,
        outcome: { status: 'failed', failure: invalidJob },
      });
      throw new UnrecoverableError(invalidJob.code);
    }
    const { attempt } = claimed;
    const begunMs = performance.now();
    const report = (rest: Omit<AttemptReport, 'attempt' | 'durationMs'>) =>
      options.onAttempt({ attempt, durationMs: performance.now() - begunMs, ...rest });
    const finish = async (outcome: Outcome, error?: unknown) => {
      const answer = await commit(redis, keys, { attempt, outcome });
      const ended = answer === 'ok' ? outcome.status : 'void';
      const failure = outcome.status === 'failed' ? { failure: outcome.failure } : {};
      report({ ended, commit: answer, error, ...failure });
    };

    try {
      if (attempt.crashes >= maxCrashes) throw lost(attempt.crashes);
      const progress = (pages: { pagesTotal: number; pagesDone: number }) => {
        // Only for people to look at: when it is lost the next one tells the same.
        reportProgress(redis, keys, { jobId: attempt.jobId, token: attempt.token, ...pages }).catch(() => {});
      };
      await finish(await options.handler(attempt, { signal, progress }));
    } catch (error) {
      if (signal.aborted) {
        await release(redis, keys, attempt);
        report({ ended: 'handed-back' });
        await job.moveToWait(lock);
        throw new WaitingError();
      }
      const failure = toFailure(error, 'queue');
      const attemptsLeft = (job.opts.attempts ?? 1) - job.attemptsMade - 1;
      if (failure.retryable && attemptsLeft > 0) {
        await release(redis, keys, attempt);
        report({ ended: 'retried', failure, error });
        throw error;
      }
      await finish({ status: 'failed', failure }, error);
      throw new UnrecoverableError(failure.code);
    }
  }

  /** Ends a job that the queue has given up by itself, and that would be called running for good. */
  async function endGivenUp(job: Job): Promise<void> {
    const claimed = await claim(redis, keys, `${job.id}`);
    if (claimed.kind === 'missing' || claimed.kind === 'final') return;
    options.onWarning(`job ${job.id} was given up by the queue: ${job.failedReason}`);
    await commit(redis, keys, { attempt: claimed.attempt, outcome: { status: 'failed', failure: givenUp } });
  }

  return {
    async ping() {
      if (redis.status !== 'ready') throw new Error(`the connection to Redis is ${redis.status}`);
      await redis.ping();
    },
    async close(graceMs) {
      clearInterval(announcing);
      const timer = setTimeout(() => worker.cancelAllJobs('shutdown'), graceMs);
      await worker.close();
      clearTimeout(timer);
      redis.disconnect();
    },
  };
}

/** Whether the message bears a version above ours: rolling out, new producers meet old workers. */
function isOfNewerProducer(data: unknown): boolean {
  return newerSchema.safeParse(data).success;
}

const newerSchema = z.object({ v: z.int().min(2) });

function lost(crashes: number): JobFailure {
  return new JobFailure({
    code: 'worker-lost',
    message: `The worker died ${crashes} times while it held this job; look at this document by hand.`,
    retryable: false,
    phase: 'queue',
  });
}
