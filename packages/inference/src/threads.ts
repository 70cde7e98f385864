import { availableParallelism } from 'node:os';
import { cpuQuota } from './cgroup.ts';

/**
 * The rule for CPU instances whose config names no count. A recogniser gets one instance per core, since
 * recognition is nine tenths of the work; a detector gets one; each runs one thread. That is one process more
 * than there are cores, so runs also pass a `CpuGate`: together they never use more threads than the budget.
 */
export function defaultInstanceCount(role: 'detect' | 'recognize', budget: number, threads: number): number {
  return role === 'detect' ? 1 : Math.max(1, Math.floor(budget / threads));
}

/** Cores this process may use: what the scheduler offers, bounded by the cgroup's quota; 1 or more. */
export function cpuBudget(): number {
  return boundedByQuota(availableParallelism(), cpuQuota());
}

/** A fraction of a core is not counted, except where it is all there is. */
export function boundedByQuota(cores: number, quota: number): number {
  return Math.max(1, Math.min(cores, Math.floor(quota)));
}
