// What the API does with jobs, await by await. Each generator names the function whose order of calls it repeats.

import { isFinal } from '@glyphmill/contract/job';
import {
  clockOf,
  idleMs,
  newProcess,
  type Process,
  RedisAway,
  redis,
  type Steps,
  sleep,
  Violation,
  type World,
} from './job-life-model.ts';
import type { NewLife } from './job-life-store.ts';

const mostTries = 200;
const answerTimeoutMs = 4000;
const lookAgainMs = 10_000;

export function startApi(world: World, name: string): Process {
  const api = newProcess('api', name);
  world.spawn(api, 'janitor', janitor(world, api));
  return api;
}

/** Somebody comes with one document at some time. */
export function* submission(
  world: World,
  apis: readonly Process[],
  { index, withDeadline, withinMs }: { index: number; withDeadline: number; withinMs: number },
): Steps<void> {
  yield* sleep(world.random(withinMs));
  const jobId = yield* client(world, apis, {
    tenant: `tenant${world.random(2)}`,
    key: world.chance(0.7) ? `key${index}` : undefined,
    deadlineMs: world.chance(withDeadline) ? world.nowMs + world.random(40_000) : undefined,
    direct: world.chance(0.5),
  });
  if (jobId !== '' && !world.store.lives.has(jobId)) throw new Violation('accepted, and not there', jobId);
}

/** Somebody who submits one document, and with a key again and again until it is accepted. */
function* client(world: World, apis: readonly Process[], job: Omit<NewLife, 'jobId'>): Steps<string> {
  for (let tries = 1; ; tries += 1) {
    const api = apis[world.random(apis.length)];
    const call: { accepted?: string; over: boolean } = { over: false };
    const jobId = `job${world.newToken()}`;
    if (api !== undefined && !api.dead) {
      world.spawn(api, `submits ${jobId}`, answering(call, submitOnce(world, api, { ...job, jobId })));
    }
    const endMs = world.nowMs + answerTimeoutMs;
    while (!call.over && world.nowMs < endMs) yield* sleep(50 + world.random(500));
    if (call.accepted !== undefined) return call.accepted;
    if (tries === mostTries) throw new Violation(`a submission was not accepted in ${mostTries} tries`);
    if (job.key === undefined && !world.chance(0.5)) return '';
    yield* sleep(200 + world.random(3000));
  }
}

function* answering(
  call: { accepted?: string; over: boolean },
  steps: Steps<string | undefined>,
): Steps<void> {
  try {
    const accepted = yield* steps;
    if (accepted !== undefined) call.accepted = accepted;
  } catch (error) {
    if (!(error instanceof RedisAway)) throw error;
  } finally {
    call.over = true;
  }
}

/** `submitOnce` of apps/api/src/idempotency.ts, then `createSubmit` of packages/queue/src/submit.ts. Resolves with the job. */
function* submitOnce(world: World, api: Process, job: NewLife): Steps<string | undefined> {
  const { store, transport, protocol } = world;
  const { jobId, key } = job;
  if (key !== undefined) {
    const reservation = yield* redis(`reserves ${key} for ${jobId}`, () => store.keys.reserve(key, jobId));
    if (reservation.kind === 'done') return reservation.jobId;
    if (reservation.kind === 'pending') return undefined;
  }
  const add = function* (): Steps<void> {
    yield* redis(`adds ${jobId}`, () => transport.add([{ jobId, round: 0 }]));
  };
  if (!protocol.recordFirst) yield* add();
  const kind = yield* redis(`creates ${jobId}`, () => store.create(job, clockOf(world, api)));
  if (!protocol.keySpentWithRecord && key !== undefined && kind !== 'lost') {
    yield* redis(`spends ${key}`, () => store.keys.spend(key, jobId));
  }
  if (kind === 'lost') return undefined;
  if (kind === 'direct') {
    try {
      if (protocol.recordFirst) yield* add();
      yield* redis(`ends the lease of ${jobId}`, () => store.endLeases([store.firstLease(jobId)]));
    } catch (error) {
      if (!(error instanceof RedisAway)) throw error;
    }
  }
  return jobId;
}

/** `cancelJob` of packages/queue/src/cancel.ts. */
function* cancelJob(world: World, api: Process, jobId: string): Steps<void> {
  const { store, transport } = world;
  const taken = yield* take(world, api, { jobId, why: 'cancel' });
  if (taken === undefined) return;
  const { token, name } = taken;
  const { answer } = yield* redis(`ends ${jobId} as canceled`, () =>
    store.apply(jobId, { type: 'end', token, status: 'canceled' }, clockOf(world, api)),
  );
  if (answer === 'fenced') return;
  const status = store.lives.get(jobId)?.state?.status;
  if (answer === 'ok' && status !== 'canceled')
    throw new Violation('its caller heard that it is canceled', jobId);
  yield* redis(`removes ${name}`, () => transport.remove(name));
}

/** `take` of packages/queue/src/cancel.ts. undefined: it is not the caller's to end. */
function* take(
  world: World,
  api: Process,
  { jobId, why }: { jobId: string; why: 'cancel' | 'expire' },
): Steps<{ token: string; name: string } | undefined> {
  const { store, transport } = world;
  const token = `taker${world.newToken()}`;
  const taken = yield* redis(`takes ${jobId} to ${why} it`, () => {
    const { answer, state, effects } = store.apply(jobId, { type: 'take', token, why }, clockOf(world, api));
    if (effects.includes('tell-worker')) world.tellWorkers(jobId);
    return { answer, round: state?.round ?? 0 };
  });
  if (why === 'expire' && taken.answer !== 'taken') {
    const againMs = taken.answer === 'told' ? clockOf(world, api) + lookAgainMs : undefined;
    yield* redis(`looks at ${jobId} again later, or not`, () => store.lookAgain(jobId, againMs));
  }
  return taken.answer === 'taken' ? { token, name: transport.nameOf(jobId, taken.round) } : undefined;
}

/** `startJanitor` and `expireDue` of packages/queue/src. */
function* janitor(world: World, api: Process): Steps<void> {
  const { store, transport, protocol } = world;
  for (let looks = 0; ; looks += 1) {
    yield* sleep(idleMs(world, looks));
    try {
      const due = yield* redis('looks for late jobs', () => store.due(clockOf(world, api)));
      for (const jobId of due) {
        looks = 0;
        const taken = yield* take(world, api, { jobId, why: 'expire' });
        if (taken === undefined) continue;
        const { token, name } = taken;
        const { answer } = yield* redis(`ends ${jobId} as expired`, () =>
          store.apply(jobId, { type: 'end', token, status: 'expired' }, clockOf(world, api)),
        );
        if (answer === 'fenced' && protocol.leavesClaimed) continue;
        yield* redis(`removes ${name}`, () => transport.remove(name));
      }
    } catch (error) {
      if (!(error instanceof RedisAway)) throw error;
    }
  }
}

/** `retry` of packages/queue/src/job-store.ts. */
function* retryJob(world: World, api: Process, jobId: string): Steps<void> {
  const { store } = world;
  const { answer } = yield* redis(`asks for ${jobId} again`, () =>
    store.apply(jobId, { type: 'retry' }, clockOf(world, api)),
  );
  if (answer === 'ok') yield* feed(world, api);
}

/** `deleteJob` of packages/queue/src/retry.ts. */
function* deleteJob(world: World, api: Process, jobId: string): Steps<void> {
  yield* redis(`deletes ${jobId}`, () => world.store.apply(jobId, { type: 'delete' }, clockOf(world, api)));
}

/** `feed` of packages/queue/src/feeder.ts. */
export function* feed(world: World, process: Process): Steps<number> {
  const { store, transport, protocol } = world;
  const fed = yield* redis('takes jobs to feed', () => store.feed(clockOf(world, process), 3));
  if (fed.length === 0) return 0;
  const names = fed.map(({ lease }) => lease);
  const end = function* (): Steps<void> {
    yield* redis(`ends the leases of ${names}`, () => store.endLeases(names));
  };
  if (!protocol.leaseEndsAfterAdd) yield* end();
  yield* redis(`adds ${names}`, () => transport.add(fed));
  if (protocol.leaseEndsAfterAdd) yield* end();
  return fed.length;
}

/** Calls of people in random order: jobs they know are canceled and forgotten, and tried again where they failed. */
export function* callers(world: World, apis: readonly Process[]): Steps<void> {
  const { store } = world;
  while (!world.calm) {
    yield* sleep(50 + world.random(1000));
    const known = [...store.lives.keys()];
    const jobId = known[world.random(known.length)];
    const api = apis[world.random(apis.length)];
    if (jobId === undefined || api === undefined || api.dead) continue;
    const status = store.lives.get(jobId)?.state?.status;
    if (status === undefined) continue;
    if (isFinal(status)) {
      const call = world.chance(0.97) ? retryJob : deleteJob;
      world.spawn(api, 'calls', call(world, api, jobId));
    } else if (world.chance(0.02)) world.spawn(api, 'calls', cancelJob(world, api, jobId));
  }
}
