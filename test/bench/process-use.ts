import { readFileSync } from 'node:fs';

const pageBytes = 4096;
const tickMs = 10;

/** User and system time of the processes so far, from Linux's /proc in its ticks of 10 ms. */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(afterName[11]) + Number(afterName[12])) * tickMs;
  }, 0);
}

/** Resident memory of a process now, from Linux's /proc. */
export function rssBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageBytes;
}
