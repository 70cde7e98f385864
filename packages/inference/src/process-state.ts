import { readFile } from 'node:fs/promises';

/**
 * Whether a process was stopped, by SIGSTOP or at a terminal: it lives, and does nothing until it is let go on. Linux
 * tells in /proc; elsewhere, and for a process that is gone, the answer is no.
 */
export async function isStopped(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The state follows the name, which is in brackets and may hold any character.
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}
