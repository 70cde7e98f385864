// What the parts of the simulated life of a job (job-life-simulation.ts) say to one another.

import type { FinalStatus } from '@glyphmill/contract/job';
import type { LifeStore } from './job-life-store.ts';
import type { Transport } from './job-life-transport.ts';

/** What the design holds on to, each as a switch, so that a test can show that the simulation misses it. */
export interface Protocol {
  /** An attempt writes only with the token of the newest claim. */
  fenced: boolean;
  /** Whoever takes a waiting job over, to cancel it or because it is late, gets a token as an attempt does. */
  takerHasToken: boolean;
  /** A job is written down before it is put into BullMQ's queue. */
  recordFirst: boolean;
  /** Until a job is in BullMQ's queue somebody else may put it there. */
  leased: boolean;
  /** The lease ends after the job is in BullMQ's queue. */
  leaseEndsAfterAdd: boolean;
  /** A lease is of one round: who adds a job late ends no lease but his own. */
  leaseOfRound: boolean;
  /** Leases and lifetimes are counted by the clock of Redis, not by that of whoever asks. */
  clockOfRedis: boolean;
  /** A job that was asked for again goes to BullMQ under another name. */
  nameOfRound: boolean;
  /** What BullMQ hands out of an earlier round is left alone. */
  claimsOwnRound: boolean;
  /** The key of a request is spent in the step that writes its job down. */
  keySpentWithRecord: boolean;
  /** An attempt ends the job before it tells BullMQ. */
  commitFirst: boolean;
  /** The event is written in the step that ends the job. */
  eventWithCommit: boolean;
  /** A death is held against the jobs that had begun. */
  deathsCounted: boolean;
  /** Who finds that a late job was claimed meanwhile leaves it in BullMQ's queue. */
  leavesClaimed: boolean;
  /** Only a job that has a deadline in this round can be late. */
  lateByOwnDeadline: boolean;
  /** An attempt that finds the job to be another's leaves it in BullMQ's queue: the other may hold nothing there. */
  keptUntilFinal: boolean;
  /** Stalls and errors after which BullMQ gives a job up by itself; who does it ends it afterwards. */
  givenUpAfter: { stalls: number; errors: number };
}

/** As it is in packages/queue. */
export const theProtocol: Protocol = {
  fenced: true,
  takerHasToken: true,
  recordFirst: true,
  leased: true,
  leaseEndsAfterAdd: true,
  leaseOfRound: true,
  clockOfRedis: true,
  nameOfRound: true,
  claimsOwnRound: true,
  keySpentWithRecord: true,
  commitFirst: true,
  eventWithCommit: true,
  deathsCounted: true,
  leavesClaimed: true,
  lateByOwnDeadline: true,
  keptUntilFinal: true,
  givenUpAfter: { stalls: Number.POSITIVE_INFINITY, errors: Number.POSITIVE_INFINITY },
};

/** How a document behaves: `poison` takes its worker down with it. */
export type Nature = 'good' | 'bad' | 'flaky' | 'poison';

/** An API or a worker. Its death ends all that it does; what comes in its place has another id. */
export interface Process {
  kind: 'api' | 'worker' | 'outside';
  name: string;
  /** How far its clock is ahead of the true time. */
  clockErrorMs: number;
  pausedUntilMs: number;
  dead: boolean;
  closing: boolean;
  /** Of a worker: the attempts it has in hand, by job. */
  inHand: Map<string, InHand>;
  /** Of a worker: one of the jobs that may have killed others is running. */
  suspectRuns: boolean;
}

export interface InHand {
  /** How the attempt is to end early. */
  outcome: FinalStatus | undefined;
  /** When its signal fires: its lock is lost. */
  abortAtMs: number;
}

/** What an actor does next: one command to Redis, which is atomic, or nothing for a while. */
export type Step = { what: string; command: () => unknown } | { sleepMs: number };
export type Steps<R> = Generator<Step, R, void>;

export interface World {
  readonly protocol: Protocol;
  readonly store: LifeStore;
  readonly transport: Transport;
  /** True time, that of Redis. */
  nowMs: number;
  /** The faults are over. */
  calm: boolean;
  /** A whole number from 0 to below - 1. */
  random: (below: number) => number;
  /** Whether something happens that does so with this probability. */
  chance: (probability: number) => boolean;
  newToken: () => string;
  natureOf: (jobId: string) => Nature;
  spawn: (process: Process, name: string, steps: Steps<unknown>) => void;
  kill: (process: Process) => void;
  /** The channel on which workers hear which jobs to leave: whoever does not listen just now misses it. */
  tellWorkers: (jobId: string) => void;
}

export function newProcess(kind: Process['kind'], name: string): Process {
  const atEase = { clockErrorMs: 0, pausedUntilMs: 0, dead: false, closing: false, suspectRuns: false };
  return { kind, name, ...atEase, inHand: new Map() };
}

/** Something that must never be. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly jobId: string;

  constructor(message: string, jobId = '') {
    super(jobId === '' ? message : `${jobId}: ${message}`);
    this.jobId = jobId;
  }
}

/** Redis did not answer in time: whether it did what it was told is unknown. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway';
}

/** Redis answered with an error, and did nothing. */
export class RedisRefused extends Error {
  override readonly name = 'RedisRefused';
}

/** One command; resumes with its answer. */
export function* redis<R>(what: string, command: () => R): Steps<R> {
  const held: { answer: R }[] = [];
  yield {
    what,
    command: () => {
      const answer = command();
      held.push({ answer });
      return answer;
    },
  };
  const last = held.at(-1);
  if (last === undefined) throw new Error(`resumed before "${what}" was done`);
  return last.answer;
}

export function* sleep(sleepMs: number): Steps<void> {
  yield { sleepMs };
}

/** Between two looks of somebody who found nothing to do: longer and longer once the faults are over. */
export function idleMs(world: World, looks: number): number {
  const most = world.calm ? Math.min(60_000, 1000 * 2 ** Math.min(looks, 6)) : 2000;
  return 200 + world.random(most);
}

/** The time as this process reads it. */
export function clockOf(world: World, process: Process): number {
  return world.nowMs + process.clockErrorMs;
}
