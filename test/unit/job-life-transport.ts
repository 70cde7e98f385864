// BullMQ as it is seen from outside: a queue of names that is handed out at least once. Every method is one script of
// its, and so one step. A job that is active without a lock is handed out again, one check later (moveStalledJobsToWait).

import type { Process, Protocol } from './job-life-model.ts';

const lockMs = 15_000;

interface Lock {
  token: string;
  process: Process;
  /** Renewed for as long as its holder lives and reaches Redis: then infinite. */
  expiresAtMs: number;
}

interface Entry {
  name: string;
  jobId: string;
  round: number;
  place: 'waiting' | 'active' | 'delayed' | 'done';
  dueMs: number;
  attemptsMade: number;
  stalls: number;
  lock: Lock | undefined;
}

/** A job handed out. */
export interface Delivery {
  name: string;
  jobId: string;
  round: number;
  attemptsMade: number;
  stalls: number;
  /** BullMQ is about to give it up. */
  givenUp: boolean;
  lock: string;
}

export class Transport {
  readonly entries = new Map<string, Entry>();
  #marked = new Set<string>();
  #locks = 0;
  readonly #protocol: Protocol;
  readonly #now: () => number;

  constructor(protocol: Protocol, now: () => number) {
    this.#protocol = protocol;
    this.#now = now;
  }

  nameOf(jobId: string, round: number): string {
    return round === 0 || !this.#protocol.nameOfRound ? jobId : `${jobId}.${round}`;
  }

  /** One that is there already stays as it is. */
  add(jobs: readonly { jobId: string; round: number }[]): void {
    for (const { jobId, round } of jobs) {
      const name = this.nameOf(jobId, round);
      if (this.entries.has(name)) continue;
      const fresh = { dueMs: 0, attemptsMade: 0, stalls: 0, lock: undefined };
      this.entries.set(name, { name, jobId, round, place: 'waiting', ...fresh });
    }
  }

  /** `clockMs`: what is delayed comes back by the clock of whoever fetches. */
  fetch(process: Process, clockMs: number): Delivery | undefined {
    let next: Entry | undefined;
    for (const entry of this.entries.values()) {
      if (entry.place === 'delayed' && entry.dueMs <= clockMs) entry.place = 'waiting';
      if (entry.place === 'waiting') next ??= entry;
    }
    if (next === undefined) return undefined;
    this.#locks += 1;
    const token = `lock${this.#locks}`;
    next.place = 'active';
    // Until its new holder has heard of it nobody renews it.
    next.lock = { token, process, expiresAtMs: this.#now() + lockMs };
    const { name, jobId, round, attemptsMade, stalls } = next;
    const givenUp = stalls > this.#protocol.givenUpAfter.stalls;
    return { name, jobId, round, attemptsMade, stalls, givenUp, lock: token };
  }

  isHeld({ name, lock }: Delivery): boolean {
    return this.#held(name, lock) !== undefined;
  }

  /** The holder knows of its job: from now on it renews the lock. */
  hold({ name, lock }: Delivery): void {
    const entry = this.#held(name, lock);
    if (entry?.lock !== undefined) entry.lock.expiresAtMs = Number.POSITIVE_INFINITY;
  }

  /** The holder goes on with something else, and has not told. */
  abandon({ name, lock }: Delivery): void {
    const entry = this.#held(name, lock);
    if (entry?.lock !== undefined) entry.lock.expiresAtMs = this.#now() + lockMs;
  }

  /** Whoever's lock is lost changes nothing; so says the answer. */
  move(
    { name, lock }: Delivery,
    to:
      | { place: 'waiting' | 'done'; counted: boolean }
      | { place: 'delayed'; dueMs: number; counted: boolean },
  ): boolean {
    const entry = this.#held(name, lock);
    if (entry === undefined) return false;
    entry.lock = undefined;
    entry.place = to.place;
    if ('dueMs' in to) entry.dueMs = to.dueMs;
    if (to.counted) entry.attemptsMade += 1;
    return true;
  }

  /** BullMQ keeps some of what is done, and forgets it at some time. */
  forgetDone(): void {
    for (const { name, place } of this.entries.values()) if (place === 'done') this.entries.delete(name);
  }

  /** Not while somebody works on it. */
  remove(name: string): void {
    const entry = this.entries.get(name);
    if (entry !== undefined && !this.#isLocked(entry)) this.entries.delete(name);
  }

  handOutStalled(): void {
    for (const name of this.#marked) {
      const entry = this.entries.get(name);
      if (entry?.place !== 'active' || this.#isLocked(entry)) continue;
      entry.place = 'waiting';
      entry.lock = undefined;
      entry.stalls += 1;
    }
    this.#marked = new Set();
    for (const { name, place } of this.entries.values()) if (place === 'active') this.#marked.add(name);
  }

  /** For `awayMs` this process, or any, renews no lock. Returns the jobs whose locks will be lost by that. */
  stopRenewing(
    awayMs: number,
    { of, leftMs }: { of: Process | undefined; leftMs: () => number },
  ): { process: Process; jobId: string }[] {
    const lost: { process: Process; jobId: string }[] = [];
    for (const { lock, jobId } of this.entries.values()) {
      if (lock === undefined || lock.expiresAtMs !== Number.POSITIVE_INFINITY) continue;
      if (of !== undefined && lock.process !== of) continue;
      const left = leftMs();
      if (awayMs < left) continue;
      lock.expiresAtMs = this.#now() + left;
      lost.push({ process: lock.process, jobId });
    }
    return lost;
  }

  #held(name: string, token: string): Entry | undefined {
    const entry = this.entries.get(name);
    return entry?.lock?.token === token && this.#isLocked(entry) ? entry : undefined;
  }

  #isLocked({ lock }: Entry): boolean {
    return lock !== undefined && lock.expiresAtMs > this.#now();
  }
}
