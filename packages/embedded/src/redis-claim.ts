import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { shutDown } from './redis-ping.ts';

const ORPHAN_STOP_TIMEOUT_MS = 10_000;
const ORPHAN_POLL_MS = 50;

/** Marks a data directory as ours: two servers on one append-only file would ruin it. */
export interface DirectoryClaim {
  /** Notes what the next start has to end, should this process be killed. */
  record(server: { socketPath: string; pid?: number }): Promise<void>;
  release(): Promise<void>;
}

interface Owner {
  process: ProcessIdentity;
  server?: ProcessIdentity;
  socketPath?: string;
}

/** A process id and when it started: ids come again, and in a container the owner's is often 1. */
interface ProcessIdentity {
  pid: number;
  start: string;
}

/**
 * Claims the directory for this process. A server whose owner was killed lives on and holds the data: it is
 * told to save and end first. Throws when the owner is alive.
 */
export async function claimDirectory(dir: string): Promise<DirectoryClaim> {
  const path = join(dir, 'owner.json');
  const owner: Owner = { process: await identify(process.pid) };
  try {
    await writeFile(path, JSON.stringify(owner), { flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    await takeOver(path, dir);
    await writeFile(path, JSON.stringify(owner), { flag: 'wx' });
  }
  return {
    record: async ({ socketPath, pid }) => {
      owner.socketPath = socketPath;
      if (pid !== undefined) owner.server = await identify(pid);
      await writeFile(path, JSON.stringify(owner));
    },
    release: () => rm(path, { force: true }),
  };
}

async function takeOver(path: string, dir: string): Promise<void> {
  const previous = parseOwner(await readFile(path, 'utf8').catch(() => ''));
  if (previous !== undefined) {
    if (await isRunning(previous.process)) {
      throw new Error(
        `The Redis data in ${dir} is in use by process ${previous.process.pid}; stop it first.`,
      );
    }
    await endOrphan(previous);
  }
  await rm(path, { force: true });
}

async function endOrphan({ socketPath, server }: Owner): Promise<void> {
  if (socketPath !== undefined) await shutDown(socketPath);
  const deadline = Date.now() + ORPHAN_STOP_TIMEOUT_MS;
  while (server !== undefined && (await isRunning(server))) {
    if (Date.now() > deadline) throw new Error(`Redis process ${server.pid} of an earlier run does not end.`);
    await delay(ORPHAN_POLL_MS);
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner: Owner = JSON.parse(text);
    return Number.isInteger(owner.process.pid) ? owner : undefined;
  } catch {
    // Cut short when its writer was killed before it started a server.
    return undefined;
  }
}

async function identify(pid: number): Promise<ProcessIdentity> {
  return { pid, start: (await processStart(pid)) ?? 'gone' };
}

async function isRunning({ pid, start }: ProcessIdentity): Promise<boolean> {
  return (await processStart(pid)) === start;
}

/** Boot and tick at which the process started (proc_pid_stat(5), field 22); undefined when there is none. */
async function processStart(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return isAlive(pid) ? 'running' : undefined;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A dead process that its parent has not collected yet holds nothing any more.
  return fields[0] === 'Z' ? undefined : `${bootId.trim()} ${fields[19]}`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
