// What a worker does, await by await. Each generator names the function whose order of calls it repeats.

import type { FinalStatus } from '@glyphmill/contract/job';
import { feed } from './job-life-api.ts';
import {
  clockOf,
  type InHand,
  idleMs,
  newProcess,
  type Process,
  RedisRefused,
  redis,
  type Steps,
  sleep,
  Violation,
  type World,
} from './job-life-model.ts';
import { maxCrashes } from './job-life-store.ts';
import type { Delivery } from './job-life-transport.ts';

/** Attempts at a job that fails for reasons that may pass: packages/queue/src/documents-queue.ts. */
const maxAttempts = 5;
const firstRetryMs = 1000;
const mostStalls = 30;
/** After it was found to be another attempt's. */
const lookAgainMs = 5000;

/** How the attempt tells BullMQ that it ended. */
type Verdict = 'done' | 'again' | 'moved' | 'given up';

/** What a handler throws. */
class HandlerFailure extends Error {
  readonly retryable: boolean;

  constructor(retryable: boolean) {
    super(retryable ? 'this may pass' : 'this will not pass');
    this.retryable = retryable;
  }
}

export function startWorker(world: World, name: string): Process {
  const worker = newProcess('worker', name);
  for (const slot of ['a', 'b']) world.spawn(worker, `place ${slot}`, place(world, worker));
  world.spawn(worker, 'feeder', feeder(world, worker));
  world.spawn(worker, 'stalled', stalledChecker(world, worker));
  return worker;
}

/** One of the places of BullMQ's Worker: `mainLoop`. */
function* place(world: World, worker: Process): Steps<void> {
  const { transport } = world;
  for (let looks = 0; !worker.closing; looks += 1) {
    let delivery: Delivery | undefined;
    try {
      delivery = yield* redis('fetches a job', () => transport.fetch(worker, clockOf(world, worker)));
    } catch (error) {
      if (!(error instanceof RedisRefused)) throw error;
    }
    if (delivery === undefined) {
      yield* sleep(idleMs(world, looks));
      continue;
    }
    looks = 0;
    transport.hold(delivery);
    yield* processJob(world, worker, delivery);
  }
}

/** `processJob`, `handleCompleted` and `handleFailed` of BullMQ's Worker, around `attempt`. */
function* processJob(world: World, worker: Process, delivery: Delivery): Steps<void> {
  const { transport, protocol } = world;
  const { name, jobId, attemptsMade } = delivery;
  let verdict: Verdict = 'again';
  const inHand: InHand = { outcome: undefined, abortAtMs: Number.POSITIVE_INFINITY };
  worker.inHand.set(jobId, inHand);
  try {
    if (delivery.givenUp) verdict = 'given up';
    else verdict = yield* attempt(world, worker, { ...delivery, inHand });
  } catch (error) {
    if (!(error instanceof RedisRefused)) throw error;
  } finally {
    if (worker.inHand.get(jobId) === inHand) worker.inHand.delete(jobId);
  }
  try {
    if (verdict === 'moved') return;
    if (verdict === 'again' && attemptsMade + 1 >= protocol.givenUpAfter.errors) verdict = 'given up';
    if (verdict === 'again') {
      const dueMs = clockOf(world, worker) + firstRetryMs * 2 ** Math.min(attemptsMade, 5);
      const to = { place: 'delayed', dueMs, counted: true } as const;
      yield* redis(`puts ${name} off`, () => transport.move(delivery, to));
      return;
    }
    const done = yield* redis(`reports ${name} done`, () =>
      transport.move(delivery, { place: 'done', counted: true }),
    );
    if (done && verdict === 'given up') yield* endGivenUp(world, worker, delivery);
  } catch (error) {
    if (!(error instanceof RedisRefused)) throw error;
    transport.abandon(delivery);
  }
}

/** `attempt` of packages/queue/src/job-run.ts. */
function* attempt(world: World, worker: Process, delivery: Delivery & { inHand: InHand }): Steps<Verdict> {
  const { store, transport, protocol } = world;
  const { jobId, attemptsMade, stalls, inHand } = delivery;
  const token = `att${world.newToken()}`;
  const round = protocol.claimsOwnRound ? delivery.round : undefined;
  const by = { name: delivery.name, isHeld: () => transport.isHeld(delivery) };
  const clock = () => clockOf(world, worker);
  const claimed = yield* redis(`claims ${jobId}`, () =>
    store.claim(jobId, { token, worker: worker.name, round, by }, clock()),
  );
  if (claimed.answer === 'missing' || claimed.answer === 'final') return 'done';
  const finish = function* (status: FinalStatus): Steps<Verdict> {
    const tell = function* () {
      yield* redis(`reports ${delivery.name} done`, () =>
        transport.move(delivery, { place: 'done', counted: true }),
      );
    };
    if (!protocol.commitFirst) yield* tell();
    const { answer } = yield* redis(`ends ${jobId} as ${status}`, () =>
      store.apply(jobId, { type: 'end', token, status }, clock()),
    );
    if (answer === 'ok' && !protocol.eventWithCommit) {
      yield* redis(`emits the event of ${jobId}`, () => store.emit(jobId));
    }
    if (answer !== 'fenced' || !protocol.keptUntilFinal) return 'done';
    const dueMs = clock() + lookAgainMs;
    yield* redis(`leaves ${delivery.name} to others`, () =>
      transport.move(delivery, { place: 'delayed', dueMs, counted: false }),
    );
    return 'moved';
  };
  if (claimed.answer === 'canceling') return yield* finish('canceled');

  const deadlineMs = store.lives.get(jobId)?.deadlineMs;
  if (deadlineMs !== undefined && deadlineMs <= clock()) inHand.outcome = 'expired';
  const isAborted = () => worker.closing || world.nowMs >= inHand.abortAtMs;
  const release = () =>
    redis(`releases ${jobId}`, () => store.apply(jobId, { type: 'release', token }, clock()));
  try {
    const crashes = claimed.state?.crashes ?? 0;
    const work = handle(world, worker, {
      jobId,
      token,
      crashes,
      attemptsMade,
      stalls,
      inHand,
      deadlineMs,
      isAborted,
    });
    const status = yield* crashes > 0 ? alone(world, worker, work) : work;
    return yield* finish(status);
  } catch (error) {
    if (error instanceof Violation) throw error;
    if (inHand.outcome !== undefined) return yield* finish(inHand.outcome);
    if (isAborted()) {
      const { answer } = yield* release();
      if (answer === 'canceling') return yield* finish('canceled');
      yield* redis(`hands ${delivery.name} back`, () =>
        transport.move(delivery, { place: 'waiting', counted: false }),
      );
      return 'moved';
    }
    const retryable = !(error instanceof HandlerFailure) || error.retryable;
    if (retryable && attemptsMade + 1 < maxAttempts) {
      const { answer } = yield* release();
      if (answer === 'canceling') return yield* finish('canceled');
      return 'again';
    }
    return yield* finish('failed');
  }
}

/** Jobs that may have killed a worker take turns. */
function* alone<R>(world: World, worker: Process, work: Steps<R>): Steps<R> {
  while (worker.suspectRuns) yield* sleep(50 + world.random(500));
  worker.suspectRuns = true;
  try {
    return yield* work;
  } finally {
    worker.suspectRuns = false;
  }
}

/** `handle` of packages/queue/src/job-run.ts, and a handler that behaves as the document's nature says. */
function* handle(
  world: World,
  worker: Process,
  job: {
    jobId: string;
    token: string;
    crashes: number;
    attemptsMade: number;
    stalls: number;
    inHand: InHand;
    deadlineMs: number | undefined;
    isAborted: () => boolean;
  },
): Steps<FinalStatus> {
  const { store } = world;
  const { jobId, token, inHand, deadlineMs } = job;
  const throwIfLeft = () => {
    if (deadlineMs !== undefined && clockOf(world, worker) >= deadlineMs) inHand.outcome ??= 'expired';
    if (inHand.outcome !== undefined || job.isAborted()) throw new HandlerFailure(true);
  };
  const tell = function* (type: 'begin' | 'progress'): Steps<boolean> {
    try {
      const { answer } = yield* redis(`${type} of ${jobId}`, () =>
        store.apply(jobId, { type, token, worker: worker.name }, clockOf(world, worker)),
      );
      if (answer !== 'ok') inHand.outcome ??= 'canceled';
      return answer === 'ok';
    } catch (error) {
      if (!(error instanceof RedisRefused)) throw error;
      return false;
    }
  };
  throwIfLeft();
  if (job.crashes >= maxCrashes || job.stalls > mostStalls) throw new HandlerFailure(false);
  yield* sleep(world.random(300));
  throwIfLeft();
  const hasBegun = yield* tell('begin');
  const nature = world.natureOf(jobId);
  for (let pages = world.random(4); pages > 0; pages -= 1) {
    yield* sleep(world.random(3000));
    throwIfLeft();
    yield* tell('progress');
  }
  throwIfLeft();
  if (nature === 'poison') {
    world.kill(worker);
    if (hasBegun) store.noteDeath(jobId);
    yield* sleep(0);
  }
  if (nature === 'bad') throw new HandlerFailure(false);
  if (nature === 'flaky' && job.attemptsMade < 2) throw new HandlerFailure(true);
  return world.chance(0.1) ? 'partial' : 'succeeded';
}

/** What could be done about a job that BullMQ has given up by itself, were it let. */
function* endGivenUp(world: World, worker: Process, { jobId }: Delivery): Steps<void> {
  const { store } = world;
  const token = `att${world.newToken()}`;
  const claimed = yield* redis(`claims ${jobId}, which BullMQ gave up`, () =>
    store.claim(
      jobId,
      { token, worker: worker.name, round: undefined, by: undefined },
      clockOf(world, worker),
    ),
  );
  if (claimed.answer === 'missing' || claimed.answer === 'final') return;
  const status = claimed.answer === 'canceling' ? 'canceled' : 'failed';
  yield* redis(`ends ${jobId} as ${status}`, () =>
    store.apply(jobId, { type: 'end', token, status }, clockOf(world, worker)),
  );
}

/** `startFeeder` of packages/queue/src/feeder.ts. */
function* feeder(world: World, worker: Process): Steps<void> {
  for (let looks = 0; !worker.closing; looks += 1) {
    try {
      if ((yield* feed(world, worker)) > 0) looks = 0;
    } catch (error) {
      if (!(error instanceof RedisRefused)) throw error;
    }
    yield* sleep(idleMs(world, looks));
  }
}

/** `stalledChecker` of BullMQ's Worker. */
function* stalledChecker(world: World, worker: Process): Steps<void> {
  for (let looks = 0; !worker.closing; looks += 1) {
    yield* sleep(3000 + idleMs(world, looks));
    try {
      yield* redis('hands out what stalled', () => {
        world.transport.handOutStalled();
        if (world.chance(0.3)) world.transport.forgetDone();
      });
    } catch (error) {
      if (!(error instanceof RedisRefused)) throw error;
    }
  }
}
