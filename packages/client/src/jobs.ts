import { type Source, toSource } from './document.ts';
import { ConnectionError, ProblemError, TimeoutError } from './errors.ts';
import { addHidden } from './hidden.ts';
import type { Call, CallOptions, Http } from './http.ts';
import { newIdempotencyKey } from './idempotency-key.ts';
import type { Input } from './input.ts';
import { type FollowOptions, followJob, isEnded, type JobStreamEvent } from './job-events.ts';
import { eachOf } from './list.ts';
import { isWorthRetrying } from './retry.ts';
import type { CreateJob, Job, Page, PageState, Result } from './types.ts';
import { untilEnded, type WaitOptions, withinTime } from './wait.ts';

export interface CreateJobOptions extends Omit<CreateJob, 'source'>, CallOptions {
  /** Sent again with the same key it is the same job. Without one each call makes up its own. */
  idempotencyKey?: string | undefined;
}

export interface JobWaitOptions extends WaitOptions {
  /** Called with each state that is seen on the way. */
  onUpdate?: ((job: Job) => void) | undefined;
}

export interface ListJobsOptions extends CallOptions {
  status?: Job['status'] | undefined;
  batchId?: string | undefined;
  /** RFC 3339. */
  createdAfter?: string | undefined;
  createdBefore?: string | undefined;
}

/** A job as the API told of it, and what can be done with it. */
export type JobHandle = Job & {
  /** The job at its end, however it ends. Throws a WaitTimeoutError. */
  wait(options?: JobWaitOptions): Promise<JobHandle>;
  /** What was read. Throws a JobNotFinishedError, a JobFailedError, … where there is nothing. */
  result(options?: CallOptions): Promise<Result>;
  text(options?: CallOptions): Promise<string>;
  pages(options?: CallOptions): AsyncGenerator<PageState>;
  page(number: number, options?: CallOptions): Promise<Page>;
  events(options?: FollowOptions): AsyncGenerator<JobStreamEvent>;
  /** The job as it is now. */
  refresh(options?: CallOptions): Promise<JobHandle>;
  cancel(options?: CallOptions): Promise<JobHandle>;
  retry(options?: CallOptions): Promise<JobHandle>;
  delete(options?: DeleteOptions): Promise<void>;
};

export interface DeleteOptions extends CallOptions {
  /** Cancels it first where it has not ended. */
  cancel?: boolean | undefined;
}

export type Jobs = ReturnType<typeof createJobs>;

/** Calls about jobs. */
export function createJobs(http: Http) {
  const at = (id: string, rest = '') => `/v1/jobs/${encodeURIComponent(id)}${rest}`;
  const asJob = async (call: Call) => handle(await http.json<Job>(call));

  const jobs = {
    /** Submits a document. The job is durable when this resolves. */
    async create(input: Input, options: CreateJobOptions = {}): Promise<JobHandle> {
      const { signal, timeoutMs, idempotencyKey = newIdempotencyKey(), ...settings } = options;
      const source: Source = await toSource(http, input, { signal });
      const headers = { 'idempotency-key': idempotencyKey };
      return await asJob({
        method: 'POST',
        path: '/v1/jobs',
        json: { source, ...settings },
        headers,
        signal,
        timeoutMs,
      });
    },
    get: (id: string, options: CallOptions = {}) => asJob({ ...options, path: at(id) }),
    /** All jobs there are, or those asked for, newest first. */
    async *list({ signal, timeoutMs, ...query }: ListJobsOptions = {}): AsyncGenerator<JobHandle> {
      for await (const job of eachOf<Job>(
        http,
        { path: '/v1/jobs', query: { ...query } },
        { signal, timeoutMs },
      )) {
        yield handle(job);
      }
    },
    /** Cancels a job; one that has ended stays as it is. */
    cancel: (id: string, options: CallOptions = {}) =>
      asJob({ ...options, method: 'POST', path: at(id, '/cancel') }),
    /** Has a job that failed, expired or was read in part read once more. */
    retry: (id: string, options: CallOptions = {}) =>
      asJob({ ...options, method: 'POST', path: at(id, '/retry'), repeatable: false }),
    /** Forgets a job and its result. */
    async delete(id: string, { cancel, ...options }: DeleteOptions = {}): Promise<void> {
      const query = { cancel: cancel || undefined };
      await http.send({ ...options, method: 'DELETE', path: at(id), query, removes: true });
    },
    result: (id: string, options: CallOptions = {}) =>
      http.json<Result>({ ...options, path: at(id, '/result') }),
    async text(id: string, options: CallOptions = {}): Promise<string> {
      const headers = { accept: 'text/plain, application/problem+json' };
      return (await http.send({ ...options, path: at(id, '/result'), query: { format: 'text' }, headers }))
        .text;
    },
    /** Each page and whether it has been read, also while the job runs. */
    pages: (id: string, options: CallOptions = {}) =>
      eachOf<PageState>(http, { path: at(id, '/pages'), query: {} }, options),
    page: (id: string, number: number, options: CallOptions = {}) =>
      http.json<Page>({ ...options, path: at(id, `/pages/${number}`) }),
    /** What happens to a job until it has ended. Connections that break are made anew. */
    events: (id: string, options: FollowOptions = {}) => followJob(http, id, options),
    /** The job at its end: by its events, where they come through, else by long polls, else by asking. */
    async wait(id: string, { onUpdate = () => {}, ...options }: JobWaitOptions = {}): Promise<JobHandle> {
      return await withinTime(`The job ${id}`, options, async ({ signal, leftMs }) => {
        const told = await untilToldEnd(http, id, { signal, onUpdate });
        const ended = told ?? (await untilEnded<Job>(http, at(id), { signal, leftMs, isEnded, onUpdate }));
        return handle(ended);
      });
    },
  };
  return jobs;

  /** What can be done does not show when the job is printed or made JSON of. */
  function handle(job: Job): JobHandle {
    const { id } = job;
    return addHidden(job, {
      wait: (options?: JobWaitOptions) => jobs.wait(id, options),
      result: (options?: CallOptions) => jobs.result(id, options),
      text: (options?: CallOptions) => jobs.text(id, options),
      pages: (options?: CallOptions) => jobs.pages(id, options),
      page: (number: number, options?: CallOptions) => jobs.page(id, number, options),
      events: (options?: FollowOptions) => jobs.events(id, options),
      refresh: (options?: CallOptions) => jobs.get(id, options),
      cancel: (options?: CallOptions) => jobs.cancel(id, options),
      retry: (options?: CallOptions) => jobs.retry(id, options),
      delete: (options?: DeleteOptions) => jobs.delete(id, options),
    });
  }
}

/** Undefined where the events do not come through, and one must ask. */
async function untilToldEnd(
  http: Http,
  id: string,
  { signal, onUpdate }: { signal: AbortSignal; onUpdate: (job: Job) => void },
): Promise<Job | undefined> {
  try {
    for await (const { job } of followJob(http, id, { signal, maxReconnects: 1 })) {
      if (isEnded(job)) return job;
      onUpdate(job);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!mayBeTheWay(error)) throw error;
  }
  return undefined;
}

/** Whether asking may work where following did not: something on the way broke it, or is too busy for it. */
function mayBeTheWay(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  return error instanceof ProblemError && (isWorthRetrying(error) || error.code.startsWith('http-'));
}
