import { readdirSync, readFileSync } from 'node:fs';

const pageBytes = 4096;

/** Resident memory of a process and all its descendants. Shared pages count in each, so this is an upper bound. */
function treeRssBytes(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isInteger(pid)) parents.set(pid, Number(readStat(pid)[1] ?? 0));
  }
  const belongs = (pid: number): boolean => pid === root || (pid > 1 && belongs(parents.get(pid) ?? 0));
  return [...parents.keys()]
    .filter(belongs)
    .reduce((sum, pid) => sum + Number(readStat(pid)[21] ?? 0) * pageBytes, 0);
}

/** Fields of /proc/<pid>/stat from the third on (proc(5)): state, parent, …; none for a process that is gone. */
function readStat(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

export interface Peak {
  /** The most that was seen so far. */
  readonly peak: number;
  /** Ends the sampling and tells the most that was seen. */
  stop(): number;
}

/** Samples a process tree until stopped; `root` is asked each time, since a process may be replaced. */
export function watchPeakRss(root: () => number | undefined, everyMs = 100): Peak {
  let peak = 0;
  const timer = setInterval(() => {
    const pid = root();
    if (pid !== undefined) peak = Math.max(peak, treeRssBytes(pid));
  }, everyMs);
  return {
    get peak() {
      return peak;
    },
    stop() {
      clearInterval(timer);
      return peak;
    },
  };
}
