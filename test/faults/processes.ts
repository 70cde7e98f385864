import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the processes below `root` whose command line names this file. */
export function childrenRunning(root: number, file: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== root && descendsFrom(pid, root))
    .filter((pid) => commandLine(pid).some((part) => part.endsWith(file)));
}

/** Resident memory of one process, in bytes. */
export function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024;
}

/** What `prlimit --data` limits of a process, in bytes. */
export function dataBytesOf(pid: number): number {
  return Number(/^VmData:\s+(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024;
}

/** By proc(5), field 4 of stat; the name before it may hold spaces and parentheses. */
function parentOf(pid: number): number {
  const stat = readProc(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

function descendsFrom(pid: number, root: number): boolean {
  for (let current = parentOf(pid); current > 1; current = parentOf(current))
    if (current === root) return true;
  return false;
}

function commandLine(pid: number): string[] {
  return readProc(pid, 'cmdline').split('\0');
}

/** Empty for a process that is gone. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
