import assert from 'node:assert/strict';
import { until } from '../integration/queue-setup.ts';
import { attemptsAt, type RunningApp } from './apps.ts';
import { slowDocument } from './documents.ts';
import { openLedger, type Submission } from './ledger.ts';
import { startLoad } from './load.ts';
import { type Row, seconds } from './row.ts';
import { callOf } from './scripts.ts';
import { stalledAmong } from './stalls.ts';
import type { Environment, FaultSystem } from './system.ts';
import { within } from './waiting.ts';

const shutdownSeconds = 9;
/** The supervisor waits a little before it starts the next one, and the machine is shared. */
const slackMs = 2000;
const deadlineMs = shutdownSeconds * 1000 + slackMs;

export const rolloutEnvironment: Environment = { SHUTDOWN_SECONDS: `${shutdownSeconds}` };

export const rollingDeploy: Row = {
  number: 5,
  fault: 'SIGTERM to every process under load, one after the other (rolling deploy)',
  promise: `each ends within ${shutdownSeconds} s, what it has in hand is ended or handed back, no job stalls`,
  async run(system) {
    const ledger = openLedger(system, 'row-5');
    await system.put('row-5/slow', slowDocument());
    const other = await system.addWorker();
    const load = startLoad(ledger, { more: { cache: 'bypass' } });
    const drains: number[] = [];
    try {
      // More than two workers can decode in the time they have left, so that there is something to hand back.
      for (let count = 0; count < 24; count += 1) await ledger.submit(slowJob('row-5/slow'));
      await until('the load runs', () => load.accepted > 20);
      drains.push(await replace(system.worker));
      await system.worker.ready();
      drains.push(await replace(system.webhook));
      drains.push(await replace(system.api));
      await system.api.ready();
    } finally {
      await load.stop();
      drains.push(await other.stop());
    }
    for (const tookMs of drains) assert.ok(tookMs <= deadlineMs, `one took ${seconds(tookMs)} to end`);
    await ledger.check();
    const handedBack = await expectNoStall(system, ledger.ids);
    assert.ok(handedBack > 0, 'there was something to hand back');
    const slowest = seconds(Math.max(...drains));
    return `${ledger.ids.length} jobs, ${handedBack} handed back, the slowest ended after ${slowest}`;
  },
};

export const stoppedWithoutRedis: Row = {
  number: 6,
  fault: 'SIGTERM to every process while Redis is away',
  promise: `each ends within ${shutdownSeconds} s, its jobs are done by its successor`,
  async run(system) {
    const ledger = openLedger(system, 'row-6');
    await system.put('row-6/slow', slowDocument());
    const begun = system.proxy.trap(callOf('begin'), 'after');
    for (let count = 0; count < 4; count += 1) await ledger.submit(slowJob('row-6/slow'));
    await ledger.submitLines(8);
    await within('decoding begins', begun.seen);
    await system.proxy.refuse();
    const apps = [system.worker, system.webhook, system.api];
    const drains = await Promise.all(apps.map(replace));
    for (const tookMs of drains) assert.ok(tookMs <= deadlineMs, `one took ${seconds(tookMs)} to end`);
    await system.proxy.restore();
    await Promise.all(apps.map((app) => app.ready()));
    await ledger.check();
    return `ended after ${drains.map(seconds).join(', ')}`;
  },
};

/** Of a document that is decoded for a second, each time anew. */
function slowJob(key: string): Submission {
  return { key, expected: { text: '' }, more: { cache: 'bypass' } };
}

/** SIGTERM; milliseconds until its successor was started. */
async function replace(app: RunningApp): Promise<number> {
  const before = app.pid;
  const begunMs = performance.now();
  app.kill('SIGTERM');
  await until('the process ends', () => app.pid !== before, 2 * deadlineMs);
  return performance.now() - begunMs;
}

/** No job was ever taken from a dead worker; answers how many were handed back by one that was leaving. */
async function expectNoStall(system: FaultSystem, ids: readonly string[]): Promise<number> {
  assert.deepEqual(await stalledAmong(system, ids), [], 'no job stalls');
  let handedBack = 0;
  for (const id of ids) {
    const ends = attemptsAt(system.workers, id).map(({ ended }) => ended);
    // The log of the attempt is in the order of the workers, not of time.
    const others = ends.filter((ended) => ended !== 'succeeded');
    assert.equal(ends.length - others.length, 1, `job ${id}: ${ends.join(', ')}`);
    assert.ok(
      others.every((ended) => ended === 'handed-back'),
      `job ${id}: ${ends.join(', ')}`,
    );
    handedBack += others.length;
  }
  return handedBack;
}
