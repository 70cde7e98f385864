/** Wait of a delivery whose host is busy, at least. */
const firstWaitMs = 500;
/** Deliveries that wait for one busy host come back one by one, so that a long line of them costs little. */
const spacingMs = 3;
/** Farther ahead nobody is sent: the host may long be free again. */
const maxWaitMs = 60_000;

export interface HostLimit {
  /** Takes one of the host's places: call `release` once. Or says in how many milliseconds to come back. */
  enter(host: string): { release: () => void } | { waitMs: number };
}

/** Keeps one slow receiver from taking all places of this process. `nowMs` is a monotonic clock. */
export function createHostLimit({ perHost, nowMs }: { perHost: number; nowMs: () => number }): HostLimit {
  // A host is here only while something is on the way to it, so there are never more than places.
  const hosts = new Map<string, { active: number; nextMs: number }>();
  return {
    enter(host) {
      const now = nowMs();
      const state = hosts.get(host) ?? { active: 0, nextMs: 0 };
      if (state.active >= perHost) {
        state.nextMs = Math.min(Math.max(now + firstWaitMs, state.nextMs + spacingMs), now + maxWaitMs);
        return { waitMs: state.nextMs - now };
      }
      state.active += 1;
      hosts.set(host, state);
      return {
        release() {
          state.active -= 1;
          if (state.active === 0) hosts.delete(host);
        },
      };
    },
  };
}
