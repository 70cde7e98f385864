/** How many pages a second this worker reads when it has enough to do. */
export interface RateMeter {
  /** So many pages have been read, or have failed. */
  read(pages: number): void;
  /** So many jobs are in hand now. */
  inHand(jobs: number): void;
  /** Undefined until pages have been read in a whole window. */
  pagesPerSecond(): number | undefined;
}

/** A window holds some pages of a slow worker, and is over before workers have been added or removed. */
const windowSeconds = 5;
/** How much a faster or a slower window counts: what a worker can do shows in its best windows. */
const riseShare = 0.4;
const fallShare = 0.05;
/** With this share of the jobs that it may hold a worker lacks nothing. */
const fullShare = 0.5;

/**
 * Measures over windows of time in which there was something to do. One without enough to do only says that the worker
 * is at least so fast; only one in which it held many jobs throughout can say that it is slower than was thought.
 * `nowSeconds` is any clock that only goes forward.
 */
export function createRateMeter(maxInHand: number, nowSeconds: () => number): RateMeter {
  let rate: number | undefined;
  let jobs = 0;
  let sinceSeconds = nowSeconds();
  let window = { pages: 0, busySeconds: 0, isFull: true };

  function settle(): void {
    const now = nowSeconds();
    if (jobs > 0) {
      window.busySeconds += now - sinceSeconds;
      window.isFull &&= jobs >= maxInHand * fullShare;
    }
    sinceSeconds = now;
    if (window.busySeconds < windowSeconds) return;
    const measured = window.pages / window.busySeconds;
    if (rate === undefined) rate = measured > 0 ? measured : undefined;
    else if (measured > rate) rate += (measured - rate) * riseShare;
    else if (window.isFull) rate += (measured - rate) * fallShare;
    window = { pages: 0, busySeconds: 0, isFull: true };
  }

  return {
    read(pages) {
      window.pages += pages;
      settle();
    },
    inHand(count) {
      settle();
      jobs = count;
    },
    pagesPerSecond() {
      settle();
      return rate;
    },
  };
}
