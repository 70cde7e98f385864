import { once } from 'node:events';
import { connectSubscriber, type OnConnectionError } from './connection.ts';

/** Callers waiting at once; one more is not made to wait but answered at once. Followers are bounded by who lets them in. */
const maxWaiters = 10_000;

/** Tells what is published, through one connection for all callers. */
export interface Watch {
  /**
   * Resolves when a message that `isAwaited` came on `channel`, when `timeoutMs` are over, when `signal` fires, or
   * when the connection was lost meanwhile (so that the caller looks again). `afterSubscribed` runs once messages
   * can no longer be missed; waiting ends when it answers true.
   */
  wait(
    channel: string,
    options: {
      timeoutMs: number;
      signal?: AbortSignal | undefined;
      isAwaited: (message: string) => boolean;
      afterSubscribed: () => Promise<boolean>;
    },
  ): Promise<void>;
  /**
   * Calls `onChange` when a message came on `channel`, and whenever one may have been missed: once the subscription
   * stands, and when the connection is lost and back. Until the function that it returns is called.
   */
  follow(channel: string, onChange: () => void): () => void;
  close(): void;
}

export function openWatch(url: string, onError: OnConnectionError): Watch {
  const redis = connectSubscriber(url, onError);
  const waiters = new Map<string, Set<(message?: string) => void>>();
  let count = 0;
  redis.on('message', (channel: string, message: string) => {
    for (const wake of waiters.get(channel) ?? []) wake(message);
  });
  // What was published while the connection was away is gone.
  redis.on('close', () => {
    for (const wakes of waiters.values()) for (const wake of wakes) wake();
  });

  const followers = new Set<() => void>();
  redis.on('ready', () => {
    for (const onChange of followers) onChange();
  });

  async function subscribe(channel: string, wake: (message?: string) => void): Promise<void> {
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
    async wait(channel, { timeoutMs, signal, isAwaited, afterSubscribed }) {
      if (count >= maxWaiters) return;
      const local = new AbortController();
      const end = () => local.abort();
      const wake = (message?: string) => {
        if (message === undefined || isAwaited(message)) end();
      };
      const timer = setTimeout(end, timeoutMs);
      signal?.addEventListener('abort', end, { once: true });
      const woken = once(local.signal, 'abort');
      try {
        await Promise.race([subscribe(channel, wake), woken]);
        if (!local.signal.aborted && !(await afterSubscribed())) await woken;
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        unsubscribe(channel, wake);
      }
    },
    follow(channel, onChange) {
      const wake = () => onChange();
      followers.add(wake);
      // It fails only when the watch is closed, and then nobody listens.
      subscribe(channel, wake).then(wake, () => {});
      return () => {
        followers.delete(wake);
        unsubscribe(channel, wake);
      };
    },
    close: () => redis.disconnect(),
  };
}
