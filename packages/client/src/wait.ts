import { ConnectionError, TimeoutError, WaitTimeoutError } from './errors.ts';
import type { Answer, Http } from './http.ts';
import { pause, readRetryAfterMs, retryDelayMs } from './retry.ts';

export interface WaitOptions {
  /** Longest time to wait: one hour unless it says otherwise. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

const usualTimeoutMs = 3_600_000;

/**
 * Runs something under a time and the caller's signal. When the time is over it throws a WaitTimeoutError, and
 * when the signal fires the signal's reason.
 */
export async function withinTime<T>(
  what: string,
  { timeoutMs = usualTimeoutMs, signal }: WaitOptions,
  run: (clock: { signal: AbortSignal; leftMs: () => number }) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const late = new WaitTimeoutError(`${what} has not ended within ${timeoutMs} ms; it goes on all the same.`);
  const abort = () => controller.abort(signal?.reason);
  const endMs = Date.now() + timeoutMs;
  const timer = setTimeout(() => controller.abort(late), timeoutMs);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await run({ signal: controller.signal, leftMs: () => Math.max(0, endMs - Date.now()) });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** Seconds of a long poll; the API takes up to 60, and proxies seldom cut it off before this. */
const longPollSeconds = 25;

/**
 * Asks until something has ended: by long polls where they are answered as they should be, else again and again,
 * as often as the answers say.
 */
export async function untilEnded<T>(
  http: Http,
  path: string,
  options: {
    signal: AbortSignal;
    leftMs: () => number;
    isEnded: (seen: T) => boolean;
    onUpdate: (seen: T) => void;
  },
): Promise<T> {
  const { signal, leftMs, isEnded, onUpdate } = options;
  let waitSeconds = longPollSeconds;
  for (let quick = 0; ; ) {
    const beganMs = Date.now();
    const wait = Math.min(waitSeconds, Math.ceil(leftMs() / 1000));
    let answer: Answer;
    try {
      answer = await http.send({
        path,
        query: { wait: wait === 0 ? undefined : wait },
        timeoutMs: http.timeoutMs + wait * 1000,
        // One owner of the retries: a poll that is cut off becomes a plain look.
        ...(wait === 0 ? {} : { maxRetries: 0 }),
        signal,
      });
    } catch (error) {
      const isCut = error instanceof ConnectionError || error instanceof TimeoutError;
      if (wait === 0 || !(isCut || isBusy(error))) throw error;
      waitSeconds = 0;
      continue;
    }
    const seen: T = JSON.parse(answer.text);
    if (isEnded(seen)) return seen;
    onUpdate(seen);
    // Answered long before its time: whatever is between here and the API does not wait.
    const waited = wait > 0 && Date.now() - beganMs >= (wait * 1000) / 2;
    quick = waited ? 0 : quick + 1;
    if (!waited) {
      const retryAfterMs = readRetryAfterMs(answer.headers.get('retry-after'), Date.now());
      await pause(Math.min(retryAfterMs ?? retryDelayMs(quick, undefined), leftMs()), signal);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'status' in error && Number(error.status) >= 502;
}
