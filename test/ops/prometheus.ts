import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findOnPath, programOfDebianPackage } from '@glyphmill/embedded/debian-package';

const cacheDir = fileURLToPath(new URL('../../.glyphmill/cache', import.meta.url));

/**
 * The server and promtool: those on the PATH, else Debian's, fetched without root as the embedded Redis is. Rejects with
 * the reason where neither can be had.
 */
export async function findPrometheus(): Promise<{ prometheus: string; promtool: string }> {
  const [server, tool] = await Promise.all(
    ['prometheus', 'promtool'].map((name) => findOnPath([name], process.env.PATH ?? '')),
  );
  if (server !== undefined && tool !== undefined) return { prometheus: server, promtool: tool };
  const { path } = await programOfDebianPackage({ package: 'prometheus', program: 'prometheus', cacheDir });
  return { prometheus: path, promtool: join(dirname(path), 'promtool') };
}

/** What promtool says; rejects with all of it when it finds something wrong. */
export async function promtool(path: string, ...args: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(path, args);
    return stdout + stderr;
  } catch (error) {
    const said = (name: 'stdout' | 'stderr') =>
      error instanceof Error && name in error
        ? String(Object.entries(error).find(([key]) => key === name)?.[1])
        : '';
    throw new Error(`promtool ${args.join(' ')}:\n${said('stdout')}${said('stderr')}`, { cause: error });
  }
}
