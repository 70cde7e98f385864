import assert from 'node:assert/strict';
import { until } from '../integration/queue-setup.ts';
import { attemptsAt, type RunningApp } from './apps.ts';
import { openLedger } from './ledger.ts';
import { type Row, seconds } from './row.ts';
import { callOf } from './scripts.ts';
import type { Environment, FaultSystem } from './system.ts';
import { within } from './waiting.ts';

/** Longer than a lock lives and dead ones are looked for. */
const blockedMs = 28_000;

/**
 * What the workers of these rows are started with: SIGWINCH, which nobody else heeds, blocks the event
 * loop as a bug of ours might.
 */
export function zombieEnvironment(): Environment {
  const code = `process.on('SIGWINCH',()=>Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,${blockedMs}))`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

export const stopped: Row = {
  number: 7,
  fault: 'worker SIGSTOP for longer than its lock, then SIGCONT',
  promise: 'the zombie’s commit is refused by the fence',
  quick: true,
  run: (system) =>
    outlive(system, 'row-7', {
      freeze: (worker) => worker.kill('SIGSTOP'),
      thaw: (worker) => worker.kill('SIGCONT'),
    }),
};

export const blocked: Row = {
  number: 8,
  fault: 'event loop blocked for longer than the lock',
  promise: 'the late commit is refused by the fence',
  run: (system) => outlive(system, 'row-8', { freeze: (worker) => worker.kill('SIGWINCH'), thaw: () => {} }),
};

/**
 * A worker freezes with its commit on the way. Another takes the job over, and while that one is about to commit
 * the first one's commit arrives.
 */
async function outlive(
  system: FaultSystem,
  name: string,
  { freeze, thaw }: { freeze: (worker: RunningApp) => void; thaw: (worker: RunningApp) => void },
): Promise<string> {
  const { proxy, worker } = system;
  const ledger = openLedger(system, name);
  const late = proxy.trap(callOf('commit'), 'before');
  const [id = ''] = await ledger.submitLines(1);
  await within('the first commit', late.seen);
  const second = proxy.trap(callOf('commit', id), 'before');
  freeze(worker);
  const begunMs = performance.now();
  const ends = (of: RunningApp) => attemptsAt([of], id).map(({ ended }) => ended);
  const other = await system.addWorker();
  try {
    await within('the other worker takes over', second.seen);
    const tookMs = performance.now() - begunMs;
    late.release();
    thaw(worker);
    await until('the zombie hears of its end', () => ends(worker).length > 0, 2 * blockedMs);
    assert.deepEqual(ends(worker), ['void fenced'], 'P2: the zombie had no effect');
    second.release();
    await ledger.check();
    assert.deepEqual(ends(other), ['succeeded']);
    assert.equal((await ledger.job(id)).attempt, 2);
    return `taken over after ${seconds(tookMs)}`;
  } finally {
    second.release();
    await other.stop();
  }
}
