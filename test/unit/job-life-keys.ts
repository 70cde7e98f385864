// The idempotency keys of packages/queue/src/idempotency.ts.

const reservationMs = 30_000;

interface Reservation {
  jobId: string;
  done: boolean;
  expiresAtMs: number;
}

export class LifeKeys {
  readonly #held = new Map<string, Reservation>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** reserve.lua */
  reserve(key: string, jobId: string): { kind: 'reserved' | 'pending' } | { kind: 'done'; jobId: string } {
    const held = this.#find(key);
    if (held?.done) return { kind: 'done', jobId: held.jobId };
    if (held !== undefined) return { kind: 'pending' };
    this.#held.set(key, { jobId, done: false, expiresAtMs: this.#now() + reservationMs });
    return { kind: 'reserved' };
  }

  isReservedFor(key: string, jobId: string): boolean {
    return this.#find(key)?.jobId === jobId;
  }

  /** Of create.lua. */
  spend(key: string, jobId: string): void {
    this.#held.set(key, { jobId, done: true, expiresAtMs: Number.POSITIVE_INFINITY });
  }

  #find(key: string): Reservation | undefined {
    const held = this.#held.get(key);
    return held !== undefined && held.expiresAtMs > this.#now() ? held : undefined;
  }
}
