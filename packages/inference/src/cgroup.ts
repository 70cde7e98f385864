import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Cores that this process's cgroup and those around it grant, the least of them; Infinity where none bounds them. A
 * container sees its own as the root; a service of systemd stands below the root that it sees. `root` is where /proc
 * and /sys are.
 */
export function cpuQuota(root = '/'): number {
  const own = parseCgroups(readText(join(root, 'proc/self/cgroup')) ?? '');
  const mount = join(root, 'sys/fs/cgroup');
  const unified = withAncestors(own.unified).flatMap((path) => readText(join(mount, path, 'cpu.max')) ?? []);
  const quotas = unified.map(parseCpuMax);
  for (const path of withAncestors(own.cpu)) {
    const read = (file: string) => Number(readText(join(mount, 'cpu', path, file)));
    quotas.push(toCores(read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')));
  }
  return Math.min(...quotas, Number.POSITIVE_INFINITY);
}

/** Cores granted by cgroup v2's `cpu.max` ("150000 100000"; "max 100000" is unbounded). */
function parseCpuMax(text: string): number {
  const [quota, period] = text.trim().split(/\s+/);
  return toCores(Number(quota), Number(period));
}

/** Anything but two positive numbers (v1 writes -1, v2 "max") means no quota. */
function toCores(quotaUs: number, periodUs: number): number {
  return quotaUs > 0 && periodUs > 0 ? quotaUs / periodUs : Number.POSITIVE_INFINITY;
}

/** The paths in /proc/self/cgroup: `0::/path` of version 2, `4:cpu,cpuacct:/path` of version 1. */
function parseCgroups(text: string): { unified: string; cpu: string } {
  const entries = text.split('\n').map((line) => line.split(':'));
  const pathOf = (found: string[] | undefined) => found?.slice(2).join(':') ?? '/';
  return {
    unified: pathOf(entries.find(([id, controllers]) => id === '0' && controllers === '')),
    cpu: pathOf(entries.find(([, controllers]) => controllers?.split(',').includes('cpu'))),
  };
}

/** `/a/b` → `/`, `/a`, `/a/b`. A path outside what is mounted here has no files, and its root is the container's. */
function withAncestors(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  return ['/', ...names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`)];
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Absent outside Linux, under the other version of cgroups, and above what a container may see.
    return undefined;
  }
}
