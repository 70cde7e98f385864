import type { Handler } from '@glyphmill/queue/job-run';

export interface ProgressWatch {
  /** Counts the jobs in hand of this handler. */
  around(handler: Handler): Handler;
  progressed(): void;
  isLive: () => boolean;
  readonly inHand: number;
}

/**
 * Tells liveness by progress, and never by whether Redis or S3 answer: a restart mends neither. A worker that
 * holds jobs and has finished nothing for `stuckAfterMs` is stuck, and better started anew.
 */
export function createProgressWatch(
  stuckAfterMs: number,
  onInHand: (jobs: number) => void = () => {},
): ProgressWatch {
  let inHand = 0;
  let lastMs = performance.now();
  const progressed = () => {
    lastMs = performance.now();
  };
  return {
    around: (handler) => async (attempt, context) => {
      if (inHand === 0) progressed();
      inHand += 1;
      onInHand(inHand);
      try {
        return await handler(attempt, context);
      } finally {
        inHand -= 1;
        onInHand(inHand);
        progressed();
      }
    },
    progressed,
    isLive: () => inHand === 0 || performance.now() - lastMs < stuckAfterMs,
    get inHand() {
      return inHand;
    },
  };
}
