import { once } from 'node:events';

/** Runs one piece of work at a time, first come first served. */
export type Turns = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;

/** Whose signal fires while it waits leaves at once, with the signal's reason. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return async (work, signal) => {
    signal.throwIfAborted();
    const before = last;
    let end = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    last = before.then(() => over);
    try {
      await Promise.race([before, once(signal, 'abort')]);
      signal.throwIfAborted();
      return await work();
    } finally {
      end();
    }
  };
}
