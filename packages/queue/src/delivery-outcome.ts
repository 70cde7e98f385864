import type { Delivery } from '@glyphmill/contract/delivery';
import type { AutomaticReason } from '@glyphmill/contract/event';

/** What a failure lay in. `endpoint` (disabled, deleted), `secret` and `unexpected` are no fault of a receiver. */
export type FailureCause =
  | 'status'
  | 'timeout'
  | 'connection'
  | 'name'
  | 'address'
  | 'endpoint'
  | 'secret'
  | 'unexpected';

interface Trouble {
  cause: FailureCause;
  /** Shown to the endpoint's owner. */
  reason: string;
  statusCode?: number;
}

/**
 * What one delivery attempt came to. `retry` follows the schedule, and waits `afterMs` where that is
 * longer. `later` is no attempt: the delivery comes back after `afterMs` and none of its attempts is spent.
 */
export type DeliveryOutcome =
  | { kind: 'delivered'; statusCode: number }
  | ({ kind: 'retry'; afterMs?: number | undefined } & Trouble)
  | ({ kind: 'give-up' } & Trouble)
  | { kind: 'later'; afterMs: number };

/** How an attempt ended. `given-up`: there will be no other. */
export type AttemptEnd =
  | { ended: 'delivered'; statusCode: number }
  | ({ ended: 'retry'; retryInMs: number } & Trouble)
  | ({ ended: 'given-up' } & Trouble);

/** For the log and the metrics. */
export interface DeliveryReport {
  delivery: Delivery;
  /** Null where there was none to send to. */
  url: string | null;
  /** Counted from 1. */
  attempt: number;
  end: AttemptEnd;
  durationMs: number;
  /** Why this attempt was the last to its endpoint, if it was. */
  disabled: AutomaticReason | undefined;
}

/** `scheduledMs` is the wait before another attempt; null when the attempts are spent. */
export function endOf(
  outcome: Exclude<DeliveryOutcome, { kind: 'later' }>,
  scheduledMs: number | null,
): AttemptEnd {
  if (outcome.kind === 'delivered') return { ended: 'delivered', statusCode: outcome.statusCode };
  const { kind, cause, reason, statusCode } = outcome;
  const trouble = { cause, reason, ...(statusCode === undefined ? {} : { statusCode }) };
  if (kind === 'give-up' || scheduledMs === null) return { ended: 'given-up', ...trouble };
  return { ended: 'retry', retryInMs: Math.max(outcome.afterMs ?? 0, scheduledMs), ...trouble };
}

/**
 * What an attempt says of its endpoint. `failed`: another attempt follows; `spent`: none does; `gone`: the
 * receiver wants nothing more; `unsent`: nothing, the fault is not its own.
 */
export type Verdict = 'succeeded' | 'failed' | 'spent' | 'gone' | 'unsent';

export function verdictOf(end: AttemptEnd): Verdict {
  if (end.ended === 'delivered') return 'succeeded';
  if (end.cause === 'endpoint' || end.cause === 'secret' || end.cause === 'unexpected') return 'unsent';
  if (end.statusCode === 410) return 'gone';
  return end.ended === 'retry' ? 'failed' : 'spent';
}
