import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { QueueUnavailable } from '@glyphmill/queue/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiMetrics } from './metrics.ts';
import { Problem } from './problem.ts';
import { untilGone } from './wait.ts';

/** A thing that changes, as its watchers are told of it: whole each time, so that what a watcher missed does not matter. */
export interface Snapshot {
  /** Grows with each change; it is the id of the event. */
  revision: number;
  status: string;
  data: object;
  /** Whether nothing more will happen. */
  isLast: boolean;
}

export interface Watched {
  /** What its events are named after: `job` gives `job.queued`, `job.progress`, … */
  type: string;
  /** As it is now; undefined once it is gone. Throws QueueUnavailable while that cannot be said. */
  read(): Promise<Snapshot | undefined>;
  /** Calls `onChange` when it may have changed, until the function that it returns is called. */
  follow(onChange: () => void): () => void;
}

/** Streams of one process: each holds a socket and some 50 kB, of the 10,000 connections that the API takes. */
export const maxEventStreams = 1000;

export const eventStreamMediaType = 'text/event-stream';

export interface StreamTiming {
  /** Longest silence: proxies end connections over which nothing comes. */
  heartbeatMs: number;
  /** Shortest time between two events; changes in between are told as one. It bounds what a stream costs Redis. */
  spacingMs: number;
  /** Until one looks again while Redis is away. */
  lookAgainMs: number;
}

const usualTiming: StreamTiming = { heartbeatMs: 15_000, spacingMs: 200, lookAgainMs: 1000 };
/** What clients are asked to wait before they connect again. */
const reconnectMs = 3000;
const fullRetrySeconds = 5;

export type EventStreams = ReturnType<typeof createEventStreams>;

/** Answers requests with events (WHATWG HTML, 9.2). `closing` ends all streams. */
export function createEventStreams({ eventStreams }: Pick<ApiMetrics, 'eventStreams'>, closing: AbortSignal) {
  let open = 0;
  return {
    /** `first` is the thing as the request found it. Throws too-many-streams. */
    send(
      request: FastifyRequest,
      reply: FastifyReply,
      { watched, first }: { watched: Watched; first: Snapshot },
    ) {
      const lastRevision = lastRevisionOf(request);
      // A client reconnects also after the last event; this tells it not to.
      if (first.isLast && first.revision === lastRevision) return reply.code(204).send();
      if (open >= maxEventStreams) {
        throw new Problem('too-many-streams', {
          detail: `${open} event streams are open here already; try again shortly, or poll.`,
          retryAfterSeconds: fullRetrySeconds,
        });
      }
      open += 1;
      eventStreams.set(open);
      reply.raw.once('close', () => {
        open -= 1;
        eventStreams.set(open);
      });
      const signal = untilGone(reply, closing);
      const events = stateEvents(watched, { lastRevision, signal });
      return reply
        .headers({
          'content-type': eventStreamMediaType,
          // Ended by us, the connection would be kept for nothing and hold up a shutdown.
          connection: 'close',
          // nginx would hold events back.
          'x-accel-buffering': 'no',
        })
        .send(Readable.from(events, { highWaterMark: 1 }));
    },
  };
}

function lastRevisionOf({ headers }: FastifyRequest): number | undefined {
  const id = headers['last-event-id'];
  return typeof id === 'string' && /^\d{1,15}$/.test(id) ? Number(id) : undefined;
}

/**
 * The events of `watched` as text, until the last or until `signal` fires. The present state comes at once unless the
 * reader has it (`lastRevision`). Nothing is kept for a slow reader: it gets the state of the moment when it reads on.
 */
export async function* stateEvents(
  { type, read, follow }: Watched,
  {
    lastRevision,
    signal,
    timing = usualTiming,
  }: { lastRevision?: number | undefined; signal: AbortSignal; timing?: StreamTiming },
): AsyncGenerator<string> {
  const bell = createBell();
  const unfollow = follow(bell.ring);
  signal.addEventListener('abort', bell.ring, { once: true });
  try {
    yield `retry: ${reconnectMs}\n\n`;
    let told: { revision: number | undefined; status?: string } = { revision: lastRevision };
    let quietSinceMs = performance.now();
    while (!signal.aborted) {
      const now = await look(read);
      if (now === undefined) return;
      if (now !== 'unknown' && now.revision !== told.revision) {
        const name = `${type}.${now.status === told.status ? 'progress' : now.status}`;
        yield formatEvent({ id: now.revision, name, data: now.data });
        told = now;
        quietSinceMs = performance.now();
        if (!now.isLast) await delay(timing.spacingMs, undefined, { signal }).catch(() => {});
      } else if (performance.now() - quietSinceMs >= timing.heartbeatMs) {
        yield ':\n\n';
        quietSinceMs = performance.now();
      }
      if (now !== 'unknown' && now.isLast) return;
      const heartbeatInMs = Math.max(0, timing.heartbeatMs - (performance.now() - quietSinceMs));
      await bell.wait(now === 'unknown' ? Math.min(timing.lookAgainMs, heartbeatInMs) : heartbeatInMs);
    }
  } finally {
    unfollow();
    signal.removeEventListener('abort', bell.ring);
  }
}

/** While Redis is away a stream goes on: a client told 503 would give up for good. */
async function look(read: Watched['read']): Promise<Snapshot | undefined | 'unknown'> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof QueueUnavailable) return 'unknown';
    throw error;
  }
}

/** Data on one line: JSON has no line breaks of its own. */
export function formatEvent({ id, name, data }: { id: number; name: string; data: object }): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Wakes whoever waits, or the next who does. */
function createBell() {
  let isRung = false;
  let wake = () => {};
  return {
    ring: () => {
      isRung = true;
      wake();
    },
    async wait(timeoutMs: number): Promise<void> {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isRung = false;
    },
  };
}
