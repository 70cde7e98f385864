import assert from 'node:assert/strict';
import { type Job, jobSchema } from '@glyphmill/contract/job';
import { createEventParser, type ParsedEvent } from '../fixtures/event-parser.ts';

/** How long a test waits for an event: less than a heartbeat, at which a stream would look by itself. */
const patienceMs = 12_000;

export interface FollowedStream {
  status: number;
  headers: Headers;
  /** The next event, or undefined when the stream has ended as it should; rejects when it was cut. */
  next(): Promise<{ id: string; name: string; job: Job } | undefined>;
  close(): void;
}

/** Follows the events at `url` as a browser's EventSource would, but does not reconnect. */
export async function followEvents(
  url: string,
  { key, lastEventId }: { key: string | undefined; lastEventId?: string },
): Promise<FollowedStream> {
  const gone = new AbortController();
  const response = await fetch(url, {
    headers: {
      authorization: `Bearer ${key}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal: gone.signal,
  });
  const parser = createEventParser();
  const ready: ParsedEvent[] = [];
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  return {
    status: response.status,
    headers: response.headers,
    async next() {
      const timer = setTimeout(() => gone.abort(new Error(`no event within ${patienceMs} ms`)), patienceMs);
      try {
        while (ready.length === 0) {
          const { done, value } = (await reader?.read()) ?? { done: true };
          if (done) return undefined;
          ready.push(...parser.push(value));
        }
      } finally {
        clearTimeout(timer);
      }
      const event = ready.shift();
      assert.ok(event);
      const { id, name, data } = event;
      return { id, name, job: jobSchema.parse(JSON.parse(data)) };
    },
    close: () => gone.abort(),
  };
}
