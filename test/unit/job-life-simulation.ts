// The whole life of a few jobs, from submission to their last end, played in virtual time from one seed: clients that
// send again, APIs and workers that die or freeze between any two steps, a Redis that is away, answers late, twice or
// not at all, clocks that jump. After every step it is checked that nothing is as it must never be; once the faults are
// over every job has to end, and nothing may be left in the queue.

import { seededUniform } from '@glyphmill/core/simulate-random';
import { callers, startApi, submission } from './job-life-api.ts';
import {
  drawFault,
  type Fault,
  type FaultOptions,
  type StrikingFault,
  slowShare,
} from './job-life-faults.ts';
import {
  type Nature,
  newProcess,
  type Process,
  type Protocol,
  RedisAway,
  RedisRefused,
  type Step,
  type Steps,
  sleep,
  Violation,
  type World,
} from './job-life-model.ts';
import { findUnrest } from './job-life-rest.ts';
import { Schedule, type Task } from './job-life-schedule.ts';
import { LifeStore } from './job-life-store.ts';
import { Transport } from './job-life-transport.ts';
import { startWorker } from './job-life-worker.ts';

export interface LifeOptions extends FaultOptions {
  seed: number;
  protocol: Protocol;
  jobs: number;
  /** Of all documents, where they are not mixed. */
  nature?: Nature | undefined;
  /** Share of the jobs that have a deadline. */
  withDeadline?: number | undefined;
  /** Told each step. */
  onStep?: ((line: { timeMs: number; who: string; text: string }) => void) | undefined;
}

const startMs = 1_000_000_000;
const faultsLastMs = 40_000;
/** Every job has ended when the faults have been over for this long. */
const endWithinMs = 20 * 60_000;
const mostSteps = 60_000;
const clockJumpMs = 7_200_000;
const longestPauseMs = 40_000;
const longestOutageMs = 30_000;
/** Of documents, as they are drawn. */
const natures: readonly Nature[] = ['good', 'good', 'good', 'bad', 'bad', 'flaky', 'poison'];
/** A worker that is told to stop and has not by then is killed. */
const shutdownMs = 5000;

type Command = Extract<Step, { what: string }>;

/** Plays one history to its end and returns its commands to Redis. Throws the Violation that it finds. */
export function playLife(options: LifeOptions): readonly string[] {
  const { stackTraceLimit } = Error;
  // Most errors are the simulated ones, by the thousand.
  Error.stackTraceLimit = 0;
  try {
    return new Simulation(options).play();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

class Simulation implements World {
  readonly protocol: Protocol;
  readonly store: LifeStore;
  readonly transport: Transport;
  nowMs = startMs;
  calm = false;
  readonly #options: LifeOptions;
  readonly #uniform: () => number;
  readonly #outside = newProcess('outside', 'outside');
  readonly #apis: Process[] = [];
  readonly #workers: Process[] = [];
  readonly #natures = new Map<string, Nature>();
  readonly #schedule = new Schedule((step) => this.#wakeMs(step));
  #outageUntilMs = 0;
  readonly #commands: string[] = [];
  #ids = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#uniform = seededUniform(options.seed);
    this.protocol = options.protocol;
    this.store = new LifeStore(this.protocol, () => this.nowMs);
    this.transport = new Transport(this.protocol, () => this.nowMs);
  }

  play(): readonly string[] {
    for (const name of ['api1', 'api2']) this.#apis.push(startApi(this, name));
    for (const name of ['worker1', 'worker2']) this.#workers.push(startWorker(this, name));
    const { jobs, withDeadline = 0.3 } = this.#options;
    for (let index = 0; index < jobs; index += 1) {
      const client = submission(this, this.#apis, { index, withDeadline, withinMs: faultsLastMs / 2 });
      this.spawn(this.#outside, 'client', client);
    }
    this.spawn(this.#outside, 'callers', callers(this, this.#apis));
    this.spawn(this.#outside, 'end of the faults', this.#calmDown());
    for (let steps = 0; steps < mostSteps; steps += 1) {
      if (this.calm && this.#unrest() === undefined) return this.#commands;
      this.#step();
    }
    throw new Violation(`no end after ${mostSteps} steps`);
  }

  random = (below: number): number => Math.floor(this.#uniform() * below);

  chance = (probability: number): boolean => this.#uniform() < probability;

  newToken = (): string => {
    this.#ids += 1;
    return String(this.#ids);
  };

  natureOf = (jobId: string): Nature => {
    const known = this.#options.nature ?? this.#natures.get(jobId);
    const nature = known ?? natures[this.random(natures.length)] ?? 'good';
    this.#natures.set(jobId, nature);
    return nature;
  };

  spawn = (process: Process, name: string, steps: Steps<unknown>): void => {
    this.#schedule.spawn(process, name, steps);
  };

  kill = (process: Process): void => {
    this.#tell(process, () => 'dies');
    process.dead = true;
    this.#schedule.endAllOf(process);
    this.transport.stopRenewing(Number.POSITIVE_INFINITY, { of: process, leftMs: this.#lockLeftMs });
    this.spawn(this.#outside, 'restart', this.#restart(process));
  };

  tellWorkers = (jobId: string): void => {
    for (const { inHand } of this.#workers) {
      const held = inHand.get(jobId);
      if (held !== undefined && !(this.#may('lost-message') && this.chance(0.3))) held.outcome ??= 'canceled';
    }
  };

  #step(): void {
    const task = this.#schedule.first();
    const { process, next } = task;
    if (process.pausedUntilMs > task.wakeMs) {
      task.wakeMs = process.pausedUntilMs;
      return;
    }
    this.nowMs = Math.max(this.nowMs, task.wakeMs);
    if ('sleepMs' in next) this.#schedule.resume(task);
    else if (this.nowMs >= this.#outageUntilMs) this.#command(task, next);
    // A caller of the API is not kept waiting; a worker's command waits for the connection.
    else if (process.kind === 'api') this.#schedule.resume(task, new RedisAway(next.what));
    else task.wakeMs = this.#outageUntilMs + this.random(2000);
    this.store.check();
  }

  /** One command, and what goes wrong around it. */
  #command(task: Task, { what, command }: Command): void {
    const { process } = task;
    const fault = this.#drawFault(process, what);
    if (fault === 'death before') this.kill(process);
    else if (fault === 'refused') {
      this.#tell(process, () => `${what}: refused`);
      this.#schedule.resume(task, new RedisRefused(what));
    } else if (fault === 'unknown') this.#loseAnswer(task, { what, command });
    else {
      this.#suffer(process, fault);
      // Frozen before the command, or after it.
      if (fault === 'pause' && this.chance(0.5)) return;
      if (fault === 'twice') command();
      const answer = command();
      this.#tell(
        process,
        () => `${what}: ${JSON.stringify(answer)}${fault === 'twice' ? ', and again' : ''}`,
      );
      if (fault === 'death after') this.kill(process);
      else this.#schedule.resume(task);
    }
  }

  #drawFault({ kind }: Process, what: string): StrikingFault | undefined {
    if (kind === 'outside') return undefined;
    this.#commands.push(what);
    const [command, calm, uniform] = [this.#commands.length, this.calm, this.#uniform];
    return drawFault(this.#options, { command, what, kind, calm, uniform });
  }

  #suffer(process: Process, fault: StrikingFault | undefined): void {
    if (fault === 'pause') this.#pause(process, this.random(longestPauseMs));
    if (fault === 'outage') this.#goAway(this.random(longestOutageMs));
    if (fault === 'clock') {
      process.clockErrorMs = this.random(2 * clockJumpMs) - clockJumpMs;
      this.#tell(process, () => `has a clock that is ${process.clockErrorMs} ms ahead`);
    }
    if (fault === 'shutdown' && !process.closing) {
      this.#tell(process, () => 'is told to stop');
      process.closing = true;
      this.spawn(this.#outside, 'shutdown', this.#killLater(process));
    }
  }

  /** The command is done, or not, or will be; nobody hears of it. */
  #loseAnswer(task: Task, { what, command }: Command): void {
    const fate = this.random(3);
    this.#tell(task.process, () => `${what}: no answer, ${['not done', 'done', 'done later'][fate]}`);
    if (fate === 1) command();
    if (fate === 2) this.spawn(this.#outside, 'late', late(what, command, this.random(10_000)));
    this.#schedule.resume(task, new RedisAway(what));
  }

  #wakeMs(step: Step): number {
    if ('sleepMs' in step) return this.nowMs + step.sleepMs;
    return this.nowMs + 1 + this.random(this.#may('slow') && this.chance(slowShare) ? 15_000 : 20);
  }

  /** Another process comes in place of the dead one. */
  *#restart({ kind, name }: Process): Steps<void> {
    yield* sleep(100 + this.random(5000));
    const next = `${name.split('.')[0]}.${this.newToken()}`;
    const list = kind === 'api' ? this.#apis : this.#workers;
    const index = list.findIndex((process) => process.name === name);
    list[index] = kind === 'api' ? startApi(this, next) : startWorker(this, next);
    this.#tell(this.#outside, () => `${next} starts`);
  }

  *#killLater(process: Process): Steps<void> {
    yield* sleep(shutdownMs);
    if (!process.dead) this.kill(process);
  }

  *#calmDown(): Steps<void> {
    yield* sleep(faultsLastMs);
    this.calm = true;
    this.#outageUntilMs = 0;
    for (const process of [...this.#apis, ...this.#workers]) {
      process.clockErrorMs = 0;
      process.pausedUntilMs = 0;
    }
    this.#tell(this.#outside, () => 'the faults are over');
    yield* sleep(endWithinMs);
    // BullMQ counts its delays by the clock of whoever asks for them, so that they may last longer than meant.
    for (const { place, dueMs } of this.transport.entries.values()) {
      if (place === 'delayed' && dueMs > this.nowMs) yield* sleep(dueMs - this.nowMs + endWithinMs);
    }
    const unrest = this.#unrest();
    throw new Violation(unrest?.what ?? 'it took too long', unrest?.jobId);
  }

  #unrest(): { what: string; jobId: string } | undefined {
    const goesOn = this.#schedule.find(['client', 'calls', 'late']);
    return findUnrest({ store: this.store, transport: this.transport, goesOn });
  }

  /** SIGSTOP, a blocked event loop, a frozen machine. */
  #pause(process: Process, forMs: number): void {
    this.#tell(process, () => `freezes for ${forMs} ms`);
    process.pausedUntilMs = this.nowMs + forMs;
    this.#loseLocks(forMs, process);
  }

  #goAway(forMs: number): void {
    this.#tell(this.#outside, () => `Redis is away for ${forMs} ms`);
    this.#outageUntilMs = this.nowMs + forMs;
    this.#loseLocks(forMs, undefined);
  }

  /** Those that are not renewed in time; the next renewal tells their holders. */
  #loseLocks(awayMs: number, of: Process | undefined): void {
    for (const { process, jobId } of this.transport.stopRenewing(awayMs, { of, leftMs: this.#lockLeftMs })) {
      const held = process.inHand.get(jobId);
      if (held !== undefined) held.abortAtMs = this.nowMs + awayMs + this.random(4000);
    }
  }

  /** A lock is renewed each time half of it is over. */
  #lockLeftMs = (): number => 7500 + this.random(7500);

  #may(fault: Fault): boolean {
    return !this.calm && this.#options.faults.has(fault);
  }

  #tell(process: Process, text: () => string): void {
    this.#options.onStep?.({ timeMs: this.nowMs - startMs, who: process.name, text: text() });
  }
}

function* late(what: string, command: () => unknown, afterMs: number): Steps<void> {
  yield* sleep(afterMs);
  yield { what: `late: ${what}`, command };
}
