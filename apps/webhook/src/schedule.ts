const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** Waits after the first, second, … failed attempt: the example schedule of Standard Webhooks. */
export const standardDelaysMs: readonly number[] = [
  5 * secondMs,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  10 * hourMs,
  10 * hourMs,
];

/** A wait is up to this share longer than the schedule says, so that deliveries that failed together part. */
const jitterShare = 0.2;
/** A receiver that asks for a longer wait than this is asked again nevertheless. */
const maxRetryAfterMs = 24 * hourMs;

export interface Schedule {
  /** Attempts in all. */
  attempts: number;
  /** Wait in milliseconds after attempt `attempt` (from 1) failed. */
  delayMs(attempt: number): number;
}

/** `random` gives numbers in [0, 1). */
export function createSchedule(delaysMs: readonly number[], random: () => number): Schedule {
  return {
    attempts: delaysMs.length + 1,
    delayMs(attempt) {
      const delay = delaysMs[Math.min(attempt, delaysMs.length) - 1] ?? 0;
      return Math.round(delay * (1 + jitterShare * random()));
    },
  };
}

/**
 * The wait that a Retry-After header asks for (RFC 9110 § 10.2.3: seconds or an HTTP date), at most 24 h.
 * Undefined when there is none or it says nothing that can be read.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  // Date.parse reads a bare number as a year: only digits may be seconds, and a date begins with its day's name.
  const waitMs = /^\d+$/.test(text)
    ? Number(text) * secondMs
    : /^[A-Z][a-z]{2,8},? /.test(text)
      ? Date.parse(text) - nowMs
      : Number.NaN;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), maxRetryAfterMs);
}
