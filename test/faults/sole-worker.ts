import type { RunningApp } from './apps.ts';
import type { Environment, FaultSystem } from './system.ts';

/** Runs this while the only worker that takes jobs is one with these settings. */
export async function withSoleWorker<T>(
  system: FaultSystem,
  changes: Environment,
  work: (worker: RunningApp) => Promise<T>,
): Promise<T> {
  const worker = await system.addWorker(changes);
  // It has nothing in hand, and so nothing to lose.
  system.worker.kill('SIGSTOP');
  try {
    return await work(worker);
  } finally {
    system.worker.kill('SIGCONT');
    await worker.stop();
  }
}
