import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ledger, lineDocument, openLedger, type Submission } from './ledger.ts';
import { submitUntilTaken } from './producer.ts';
import { accepted, type Hook } from './receiver.ts';
import { seconds } from './row.ts';
import { type FaultSystem, startFaultSystem } from './system.ts';

// `npm run test:faults -- --kills 20 --jobs 5000 [--redis]`: many small jobs while processes are killed.

export interface KillsOptions {
  jobs: number;
  /** SIGKILLs of workers and of the API, in turn, spread over the jobs. */
  kills: number;
  /** Also kills Redis, twice, and starts it again on its append-only file. */
  withRedis: boolean;
  say: (line: string) => void;
}

const documents = 4;
const producers = 16;
/** Jobs accepted whose end has not been told of: the API has work as long as the workers have. */
const maxOpen = 400;
const pollMs = 50;
const sayEveryMs = 5000;
/** Without any progress for so long something is lost. A worker's lock and its restart take a part of it. */
const stuckAfterMs = 120_000;
const redisKills = 2;

/** Throws an AssertionError that names the promise which was not kept. */
export async function runKills({ jobs, kills, withRedis, say }: KillsOptions): Promise<void> {
  const system = await startFaultSystem();
  const begunMs = performance.now();
  const ledger = openLedger(system, 'kills');
  const hook = system.receiver.hook(accepted);
  const told = createToldOf(hook);
  let killed = 0;
  const progress = () => `${ledger.ids.length} accepted, ${told()} told of, ${killed} kills`;
  const saying = setInterval(() => say(progress()), sayEveryMs);
  try {
    const victims = [system.worker, system.api, await system.addWorker(), system.api];
    const deaths = Array.from({ length: kills }, (_, kill) => ({
      atTold: (jobs * (kill + 1)) / (kills + 1),
      die: () => victims[kill % victims.length]?.crash(),
    }));
    const outages = Array.from({ length: withRedis ? redisKills : 0 }, (_, kill) => ({
      atTold: (jobs * (kill + 0.5)) / redisKills,
      die: async () => {
        await system.redis.kill();
        await system.redis.start();
      },
    }));
    const submitting = submitAll({ system, ledger, hook, jobs, told });
    for (const { atTold, die } of [...deaths, ...outages].sort((a, b) => a.atTold - b.atTold)) {
      await Promise.race([untilTold(told, atTold), submitting.then(() => untilTold(told, atTold))]);
      await die();
      killed += 1;
    }
    await submitting;
    await untilTold(told, jobs);
    const tookMs = performance.now() - begunMs;
    say(
      `${progress()}; all told of after ${seconds(tookMs)}, ${(jobs / (tookMs / 1000)).toFixed(1)} jobs a second`,
    );
    clearInterval(saying);
    await ledger.check({ withinMs: stuckAfterMs });
    assert.equal(ledger.ids.length, jobs, 'P2: each job was accepted once');
    assert.equal(system.receiver.refused, 0, 'every delivery was signed');
    const again = hook.deliveries.length - jobs;
    say(`${jobs} jobs succeeded, ${jobs} results, ${jobs} webhook-ids; ${again} deliveries came again`);
    await system.close();
  } catch (error) {
    say(`${progress()}; the logs are kept in ${system.dir}`);
    await system.close('keep');
    throw error;
  } finally {
    clearInterval(saying);
  }
}

async function submitAll(options: {
  system: FaultSystem;
  ledger: Ledger;
  hook: Hook;
  jobs: number;
  told: () => number;
}): Promise<void> {
  const { system, ledger, hook, jobs, told } = options;
  const lines: Submission[] = [];
  for (let number = 0; number < documents; number += 1) {
    const { bytes, text } = lineDocument(number);
    await system.put(`kills/${number}`, bytes);
    // Each is read: an earlier result would be no work.
    lines.push({
      key: `kills/${number}`,
      expected: { text },
      hook,
      more: { cache: 'bypass', webhook: { url: hook.url } },
    });
  }
  let next = 0;
  const produce = async () => {
    for (let number = next++; number < jobs; number = next++) {
      const line = lines[number % documents];
      assert.ok(line);
      await untilTold(told, number - maxOpen);
      await submitUntilTaken(ledger, line, { idempotencyKey: `job-${number}`, withinMs: stuckAfterMs });
    }
  };
  await Promise.all(Array.from({ length: producers }, produce));
}

/** How many jobs' ends were told of, each counted once. */
function createToldOf({ deliveries }: Hook): () => number {
  const ids = new Set<string>();
  let seen = 0;
  return () => {
    for (; seen < deliveries.length; seen += 1) ids.add(deliveries[seen]?.event.data.jobId ?? '');
    return ids.size;
  };
}

async function untilTold(told: () => number, count: number): Promise<void> {
  let last = told();
  let movedMs = performance.now();
  while (last < count) {
    await delay(pollMs);
    const now = told();
    if (now > last) movedMs = performance.now();
    last = now;
    const stuckMs = performance.now() - movedMs;
    assert.ok(
      stuckMs < stuckAfterMs,
      `P1: nothing was told of for ${seconds(stuckMs)}, at ${last} of ${count}`,
    );
  }
}
