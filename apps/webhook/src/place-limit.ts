/** Wait of a delivery that finds no place, at least. */
const firstWaitMs = 500;
/** Deliveries that wait for the same place come back one by one, so that a long line of them costs little. */
const spacingMs = 3;
/** Farther ahead nobody is sent: there may long be a place again. */
const maxWaitMs = 60_000;

/** How many places all deliveries of one name (an endpoint, a host, a tenant) may take at once. */
export interface Claim {
  name: string;
  places: number;
}

export interface PlaceLimit {
  /** Takes a place of each claim: call `release` once. Or takes none and says in how many ms to come back. */
  enter(claims: readonly Claim[]): { release: () => void } | { waitMs: number };
}

/** Keeps a slow receiver from taking all places of this process. `nowMs` is a monotonic clock. */
export function createPlaceLimit({ nowMs }: { nowMs: () => number }): PlaceLimit {
  // A name is here only while something is on the way to it, so there are few times as many as places.
  const names = new Map<string, { active: number; nextMs: number }>();
  const leave = (name: string) => {
    const state = names.get(name);
    if (state === undefined) return;
    state.active -= 1;
    if (state.active === 0) names.delete(name);
  };
  return {
    enter(claims) {
      const now = nowMs();
      for (const { name, places } of claims) {
        const state = names.get(name);
        if (state === undefined || state.active < places) continue;
        state.nextMs = Math.min(Math.max(now + firstWaitMs, state.nextMs + spacingMs), now + maxWaitMs);
        return { waitMs: state.nextMs - now };
      }
      for (const { name } of claims) {
        const state = names.get(name) ?? { active: 0, nextMs: 0 };
        state.active += 1;
        names.set(name, state);
      }
      return {
        release() {
          for (const { name } of claims) leave(name);
        },
      };
    },
  };
}
