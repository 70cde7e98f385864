/** How often, and after what time, a call is tried again. */
export interface RetryPolicy {
  /** Tries after the first. */
  maxRetries: number;
}

const firstDelayMs = 500;
const longestDelayMs = 8000;
/** Longer than this nobody wants to be held up in a call: the error says how long it would have been. */
export const longestRetryAfterMs = 60_000;

/** Whether an answer says that the same call may be taken later. */
export function isWorthRetrying({ status, code }: { status: number; code: string | undefined }): boolean {
  if (status === 408 || status === 429 || (status >= 502 && status <= 504)) return true;
  return code === 'idempotency-in-progress';
}

/**
 * Time to wait before try `retry`, the first being 1: doubling, with up to half of it taken off at random, so that
 * callers who were refused together do not come back together. Never before the time that an answer named.
 */
export function retryDelayMs(retry: number, retryAfterMs: number | undefined): number {
  const backoffMs = Math.min(longestDelayMs, firstDelayMs * 2 ** (retry - 1));
  const jitteredMs = backoffMs * (1 - Math.random() / 2);
  if (retryAfterMs === undefined) return jitteredMs;
  return retryAfterMs + Math.random() * Math.min(backoffMs, retryAfterMs / 4);
}

/** `Retry-After` of RFC 9110, section 10.2.3: seconds, or a date. */
export function readRetryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const timeMs = Date.parse(header);
  return Number.isNaN(timeMs) ? undefined : Math.max(0, timeMs - nowMs);
}

/** Waits, or throws the reason of `signal`. */
export async function pause(timeMs: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, timeMs);
    signal?.addEventListener('abort', abort, { once: true });
    function done(): void {
      signal?.removeEventListener('abort', abort);
      resolve();
    }
    function abort(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
  });
}
