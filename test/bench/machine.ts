import { availableParallelism, cpus, totalmem } from 'node:os';
import { runtime } from '@glyphmill/inference/runtime';

/** What a figure was measured on, and when. */
export function describeMachine() {
  return {
    cpu: `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`,
    memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    node: `Node ${process.versions.node}`,
    runtime,
    date: new Date().toISOString().slice(0, 10),
  };
}
