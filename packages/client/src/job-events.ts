import { ConnectionError, GlyphmillError, ProblemError, TimeoutError } from './errors.ts';
import { readEvents } from './event-stream.ts';
import type { Http, OpenAnswer } from './http.ts';
import { chunksOf } from './input.ts';
import { isWorthRetrying, pause, retryDelayMs } from './retry.ts';
import type { Job } from './types.ts';

/** What happened to a job: `job.running`, `job.progress`, … and the job as it was then. */
export interface JobStreamEvent {
  type: string;
  /** To go on after it: `lastEventId`. */
  id: string;
  job: Job;
}

export interface FollowOptions {
  signal?: AbortSignal | undefined;
  /** Leaves out what has been seen. */
  lastEventId?: string | undefined;
  /** Connections that may break, or not come about, one after another without an event between them. */
  maxReconnects?: number | undefined;
}

/** The API sends something every 15 s. */
const longestSilenceMs = 40_000;

export function isEnded({ status }: { status: Job['status'] }): boolean {
  return status !== 'queued' && status !== 'running' && status !== 'canceling';
}

/** What happens to a job until it has ended, over as many connections as that takes. */
export async function* followJob(
  http: Http,
  id: string,
  options: FollowOptions,
): AsyncGenerator<JobStreamEvent> {
  const { signal, maxReconnects = http.maxRetries } = options;
  let { lastEventId } = options;
  for (let failures = 0; ; ) {
    try {
      const stream = await openStream(http, id, { signal, lastEventId });
      // Its last event has been seen.
      if (stream === undefined) return;
      for await (const event of stream) {
        failures = 0;
        lastEventId = event.id;
        yield event;
        if (isEnded(event.job)) return;
      }
    } catch (error) {
      if (!isPassing(error) || failures >= maxReconnects) throw error;
    }
    failures += 1;
    if (failures > maxReconnects)
      throw new ConnectionError(`The events of ${id} end again and again before it does.`);
    await pause(retryDelayMs(failures, undefined), signal);
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof ProblemError) return isWorthRetrying(error);
  return error instanceof ConnectionError || error instanceof TimeoutError;
}

/** Undefined where nothing follows. */
async function openStream(
  http: Http,
  id: string,
  { signal, lastEventId }: Pick<FollowOptions, 'signal' | 'lastEventId'>,
): Promise<AsyncGenerator<JobStreamEvent> | undefined> {
  const path = `/v1/jobs/${encodeURIComponent(id)}/events`;
  const answer = await http.open({
    path,
    headers: {
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    maxRetries: 0,
    signal,
  });
  if (answer.response.status !== 204) return eventsOf(answer, { path, signal });
  answer.close();
  return undefined;
}

async function* eventsOf(
  { response, close }: OpenAnswer,
  { path, signal }: { path: string; signal: AbortSignal | undefined },
): AsyncGenerator<JobStreamEvent> {
  let timer = setTimeout(close, longestSilenceMs);
  try {
    if (response.body === null || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
      throw new ConnectionError(`${path} gave no stream of events.`);
    }
    const heard = listening(chunksOf(response.body), () => {
      clearTimeout(timer);
      timer = setTimeout(close, longestSilenceMs);
    });
    for await (const { type, id, data } of readEvents(heard)) yield { type, id, job: JSON.parse(data) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof GlyphmillError) throw error;
    throw new ConnectionError(`The stream of ${path} broke off.`, { cause: error });
  } finally {
    clearTimeout(timer);
    close();
  }
}

async function* listening(chunks: AsyncIterable<Uint8Array>, heard: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    heard();
    yield chunk;
  }
}
