import { once } from 'node:events';
import { connectSubscriber, type OnConnectionError } from './connection.ts';

/** Callers waiting at once for the end of some job; one more is not made to wait but answered at once. */
const maxWaiters = 10_000;

/** Tells when jobs end, through one connection for all callers. */
export interface Watch {
  /**
   * Resolves when a message came on `channel`, when `timeoutMs` are over, when `signal` fires, or when the
   * connection was lost meanwhile (so that the caller looks again). `afterSubscribed` runs once messages can
   * no longer be missed; waiting ends when it answers true.
   */
  wait(
    channel: string,
    options: { timeoutMs: number; signal?: AbortSignal | undefined; afterSubscribed: () => Promise<boolean> },
  ): Promise<void>;
  close(): void;
}

export function openWatch(url: string, onError: OnConnectionError): Watch {
  const redis = connectSubscriber(url, onError);
  const waiters = new Map<string, Set<() => void>>();
  let count = 0;
  redis.on('message', (channel: string) => {
    for (const wake of waiters.get(channel) ?? []) wake();
  });
  // What was published while the connection was away is gone.
  redis.on('close', () => {
    for (const wakes of waiters.values()) for (const wake of wakes) wake();
  });

  async function subscribe(channel: string, wake: () => void): Promise<void> {
    const wakes = waiters.get(channel) ?? new Set();
    waiters.set(channel, wakes.add(wake));
    count += 1;
    await redis.subscribe(channel);
  }

  function unsubscribe(channel: string, wake: () => void): void {
    const wakes = waiters.get(channel);
    if (wakes?.delete(wake) !== true) return;
    count -= 1;
    if (wakes.size > 0) return;
    waiters.delete(channel);
    // Nobody waits for the answer; a lost connection forgets the subscription anyway.
    redis.unsubscribe(channel).catch(() => {});
  }

  return {
    async wait(channel, { timeoutMs, signal, afterSubscribed }) {
      if (count >= maxWaiters) return;
      const local = new AbortController();
      const wake = () => local.abort();
      const timer = setTimeout(wake, timeoutMs);
      signal?.addEventListener('abort', wake, { once: true });
      const woken = once(local.signal, 'abort');
      try {
        await Promise.race([subscribe(channel, wake), woken]);
        if (!local.signal.aborted && !(await afterSubscribed())) await woken;
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        unsubscribe(channel, wake);
      }
    },
    close: () => redis.disconnect(),
  };
}
