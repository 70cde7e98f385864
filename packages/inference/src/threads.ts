import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

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
  return boundedByQuota(availableParallelism(), readQuota());
}

/** A fraction of a core is not counted, except where it is all there is. */
export function boundedByQuota(cores: number, quota: number): number {
  return Math.max(1, Math.min(cores, Math.floor(quota)));
}

/** Cores granted by cgroup v2's `cpu.max` ("150000 100000"; "max 100000" is unbounded). */
export function parseCpuMax(text: string): number {
  const [quota, period] = text.trim().split(/\s+/);
  return toCores(Number(quota), Number(period));
}

function readQuota(): number {
  const v2 = readText('/sys/fs/cgroup/cpu.max');
  if (v2 !== undefined) return parseCpuMax(v2);
  const quota = readText('/sys/fs/cgroup/cpu/cpu.cfs_quota_us');
  const period = readText('/sys/fs/cgroup/cpu/cpu.cfs_period_us');
  return toCores(Number(quota), Number(period));
}

/** Anything but two positive numbers (v1 writes -1, v2 "max") means no quota. */
function toCores(quotaUs: number, periodUs: number): number {
  return quotaUs > 0 && periodUs > 0 ? quotaUs / periodUs : Number.POSITIVE_INFINITY;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Absent outside Linux and under the other cgroup version.
    return undefined;
  }
}
