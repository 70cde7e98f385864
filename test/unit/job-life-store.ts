// What our scripts keep in Redis, as far as the life of a job depends on it, and what must hold of it after each. Every
// method is one script, and so one step. What becomes of a job is the page of states itself (job-state.ts).

import { isFinal } from '@glyphmill/contract/job';
import {
  type JobEvent,
  type JobState,
  newState,
  type Transition,
  transition,
} from '@glyphmill/queue/job-state';
import { LifeKeys } from './job-life-keys.ts';
import { type Protocol, Violation } from './job-life-model.ts';

const leaseMs = 5000;
const mostAtOnce = 200;
/** Deaths that are held against a job before it ends. */
export const maxCrashes = 3;

export interface NewLife {
  jobId: string;
  tenant: string;
  key: string | undefined;
  deadlineMs: number | undefined;
  /** Straight to BullMQ, or to the backlog. */
  direct: boolean;
}

/** A delivery by its name in BullMQ, and whether it is held there. */
interface Holder {
  name: string;
  isHeld: () => boolean;
}

interface Claiming {
  token: string;
  worker: string;
  round: number | undefined;
  by: Holder | undefined;
}

interface Life {
  tenant: string;
  key: string | undefined;
  /** undefined: deleted. */
  state: JobState | undefined;
  deadlineMs: number | undefined;
  /** Who claimed it or took it over last. */
  owner: string;
  /** What that was done for. */
  holder: Holder | undefined;
  endedRounds: Set<number>;
  /** Workers that this round took down. */
  deaths: number;
  finishes: number;
  events: number;
}

export interface Fed {
  jobId: string;
  round: number;
  lease: string;
}

export class LifeStore {
  readonly lives = new Map<string, Life>();
  readonly keys: LifeKeys;
  /** Due times of the leases. */
  readonly feeding = new Map<string, number>();
  readonly backlog: string[] = [];
  /** What each tenant's open jobs count for. */
  readonly quota = new Map<string, number>();
  /** By job, when it is looked at whether it is late. */
  readonly #deadlines = new Map<string, number>();
  readonly #protocol: Protocol;
  readonly #now: () => number;

  constructor(protocol: Protocol, now: () => number) {
    this.#protocol = protocol;
    this.#now = now;
    this.keys = new LifeKeys(now);
  }

  /** create.lua */
  create(job: NewLife, clockMs: number): 'direct' | 'backlog' | 'exists' | 'lost' {
    const { jobId, tenant, key, deadlineMs, direct } = job;
    if (this.lives.has(jobId)) return 'exists';
    if (key !== undefined && this.#protocol.keySpentWithRecord) {
      if (!this.keys.isReservedFor(key, jobId)) return 'lost';
      this.keys.spend(key, jobId);
    }
    const first = [...this.lives].find(([, life]) => key !== undefined && life.key === key);
    if (first) throw new Violation(`it has the key of ${first[0]}`, jobId);
    const state = { ...newState, hasDeadline: deadlineMs !== undefined };
    const life = {
      tenant,
      key,
      deadlineMs,
      state,
      owner: '',
      holder: undefined,
      deaths: 0,
      finishes: 0,
      events: 0,
    };
    this.lives.set(jobId, { ...life, endedRounds: new Set() });
    if (deadlineMs !== undefined) this.#deadlines.set(jobId, deadlineMs);
    this.#count(tenant, 1);
    if (!direct) this.backlog.push(jobId);
    else if (this.#protocol.leased) this.feeding.set(this.#leaseOf(jobId, 0), this.#clock(clockMs) + leaseMs);
    return direct ? 'direct' : 'backlog';
  }

  /** feed.lua */
  feed(clockMs: number, room: number): Fed[] {
    const nowMs = this.#clock(clockMs);
    const fed: Fed[] = [];
    const take = (jobId: string, lease: string) => {
      const state = this.lives.get(jobId)?.state;
      if (state === undefined || isFinal(state.status) || lease !== this.#leaseOf(jobId, state.round)) {
        this.feeding.delete(lease);
        return;
      }
      this.feeding.set(lease, nowMs + leaseMs);
      fed.push({ jobId, round: state.round, lease });
    };
    const due = [...this.feeding].filter(([, dueMs]) => dueMs <= nowMs).slice(0, mostAtOnce);
    for (const [lease] of due) take(lease.split('.')[0] ?? '', lease);
    while (fed.length < room) {
      const jobId = this.backlog.shift();
      if (jobId === undefined) break;
      const round = this.lives.get(jobId)?.state?.round ?? 0;
      // One that was asked for again has a lease already.
      if (round === 0 || !this.#protocol.leaseOfRound) take(jobId, this.#leaseOf(jobId, round));
    }
    return fed;
  }

  /** ZREM of the leases. */
  endLeases(leases: readonly string[]): void {
    for (const lease of leases) this.feeding.delete(lease);
  }

  /** The name of a new job's lease, for who adds it himself. */
  firstLease(jobId: string): string {
    return this.#leaseOf(jobId, 0);
  }

  /** ZRANGEBYSCORE of the deadlines. */
  due(clockMs: number): string[] {
    return [...this.#deadlines].filter(([, dueMs]) => dueMs <= clockMs).map(([jobId]) => jobId);
  }

  /** ZADD XX of a deadline, or ZREM. */
  lookAgain(jobId: string, atMs: number | undefined): void {
    if (atMs === undefined) this.#deadlines.delete(jobId);
    else if (this.#deadlines.has(jobId)) this.#deadlines.set(jobId, atMs);
  }

  /** claim.lua; `round` undefined: whichever it is in. */
  claim(jobId: string, { round, by, ...who }: Claiming, clockMs: number): Transition {
    const life = this.lives.get(jobId);
    const before = life?.state;
    const made = this.apply(jobId, { type: 'claim', ...who, round: round ?? before?.round ?? 0 }, clockMs);
    if (life === undefined || made.state === before) return made;
    const { holder } = life;
    if (before?.status === 'running' && holder !== undefined && holder.name !== by?.name && holder.isHeld()) {
      throw new Violation(`${by?.name} took it from ${holder.name}, which works on it`, jobId);
    }
    life.holder = by;
    return made;
  }

  /** begin, progress, release, take, commit, retry and delete.lua. `clockMs`: the time as the caller reads it. */
  apply(jobId: string, event: JobEvent, clockMs: number): Transition {
    const life = this.lives.get(jobId);
    if (life === undefined) return transition(undefined, event);
    const before = life.state;
    const made = this.#transition(before, event);
    life.state = made.state;
    this.#checkChange(jobId, life, { before, event, made });
    const owns = made.answer === 'taken' || (event.type === 'claim' && made.state !== before);
    if (owns && 'token' in event) life.owner = event.token;
    if (made.effects.includes('finish')) this.#finish(jobId, life, clockMs);
    if (made.effects.includes('feed')) {
      life.deadlineMs = undefined;
      life.deaths = 0;
      this.#count(life.tenant, 1);
      this.feeding.set(this.#leaseOf(jobId, made.state?.round ?? 0), this.#clock(clockMs));
    }
    return made;
  }

  /** XADD to the outbox, of commit.lua. */
  emit(jobId: string): void {
    const life = this.lives.get(jobId);
    if (life === undefined) return;
    life.events += 1;
    if (life.events > life.finishes) throw new Violation('more events than ends', jobId);
  }

  /** It has taken a worker down with it. */
  noteDeath(jobId: string): void {
    const life = this.lives.get(jobId);
    if (life === undefined) return;
    life.deaths += 1;
    if (life.deaths > maxCrashes) throw new Violation(`it took ${life.deaths} workers down`, jobId);
  }

  /** What must hold after every step. */
  check(): void {
    const open = new Map<string, number>();
    for (const { tenant, state } of this.lives.values()) {
      if (state !== undefined && !isFinal(state.status)) open.set(tenant, (open.get(tenant) ?? 0) + 1);
    }
    for (const [tenant, count] of this.quota) {
      const jobs = open.get(tenant) ?? 0;
      if (count !== jobs) throw new Violation(`${tenant} is charged for ${count} jobs and has ${jobs}`);
    }
  }

  #finish(jobId: string, life: Life, clockMs: number): void {
    const round = life.state?.round ?? 0;
    if (life.endedRounds.has(round)) throw new Violation(`round ${round} ended twice`, jobId);
    life.endedRounds.add(round);
    life.finishes += 1;
    this.#count(life.tenant, -1);
    this.#deadlines.delete(jobId);
    if (this.#protocol.eventWithCommit) this.emit(jobId);
    const missingMs = this.#now() - this.#clock(clockMs);
    if (missingMs > 1000) throw new Violation(`its record lives ${missingMs} ms too short`, jobId);
  }

  #checkChange(
    jobId: string,
    life: Life,
    { before, event, made }: { before: JobState | undefined; event: JobEvent; made: Transition },
  ): void {
    const after = made.state;
    if (before === undefined || after === before) return;
    if (isFinal(before.status) && event.type !== 'retry' && event.type !== 'delete') {
      throw new Violation(`${event.type} changed it after it was ${before.status}`, jobId);
    }
    const isWrite = ['begin', 'progress', 'release', 'end'].includes(event.type);
    if (isWrite && 'token' in event && event.token !== life.owner) {
      throw new Violation(`${event.type} of ${event.token}, and it is ${life.owner}'s`, jobId);
    }
    if (event.type === 'end' && event.status === 'expired' && life.deadlineMs === undefined) {
      throw new Violation('it expired without a deadline', jobId);
    }
    if (after === undefined) return;
    if (after.attempt < before.attempt || after.round < before.round) {
      throw new Violation('attempts or rounds ran backwards', jobId);
    }
    if (after.crashes < before.crashes && after.round === before.round) {
      throw new Violation('crashes were forgotten', jobId);
    }
  }

  /** The page of states, and what is left of it where the protocol is spoilt. */
  #transition(before: JobState | undefined, event: JobEvent): Transition {
    if (before === undefined) return transition(before, event);
    const { fenced, takerHasToken, deathsCounted, lateByOwnDeadline } = this.#protocol;
    let seen = before;
    let asked = event;
    if (event.type === 'end' && (!fenced || (!takerHasToken && event.token.startsWith('taker')))) {
      asked = { ...event, token: before.token };
    }
    if (event.type === 'take' && !takerHasToken) asked = { ...event, token: before.token };
    if (event.type === 'take' && !lateByOwnDeadline) seen = { ...before, hasDeadline: true };
    if (event.type === 'claim' && !deathsCounted) seen = { ...before, begunBy: '' };
    const made = transition(seen, asked);
    return made.state === seen ? { ...made, state: before } : made;
  }

  #leaseOf(jobId: string, round: number): string {
    return this.#protocol.leaseOfRound ? `${jobId}.${round}` : jobId;
  }

  #clock(clockMs: number): number {
    return this.#protocol.clockOfRedis ? this.#now() : clockMs;
  }

  #count(tenant: string, jobs: number): void {
    const count = (this.quota.get(tenant) ?? 0) + jobs;
    this.quota.set(tenant, count);
    if (count < 0) throw new Violation(`${tenant} is charged for ${count} jobs`);
  }
}
