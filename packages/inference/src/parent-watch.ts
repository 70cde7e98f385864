import { Worker } from 'node:worker_threads';

/**
 * Ends this process when its parent is gone and not before, also while inference blocks the main thread, which then cannot hear
 * the channel close. It is SIGKILL, since a thread cannot make the main thread exit.
 */
export function dieWithParent(): void {
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C and service managers signal every process of a group; the parent still has lines to finish here.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
  const watch = new Worker(
    `const parent = require('node:worker_threads').workerData;
     setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, ${checkEveryMs});`,
    // No loader of TypeScript in there: it would cost tens of MB.
    { eval: true, execArgv: [], workerData: process.ppid },
  );
  watch.unref();
  if (!process.connected) process.exit(0);
}

const checkEveryMs = 500;
