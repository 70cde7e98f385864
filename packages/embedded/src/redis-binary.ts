import { findOnPath, type Program, programOfDebianPackage } from './debian-package.ts';

const SERVER_NAMES = ['valkey-server', 'redis-server'];

export interface FindRedisOptions {
  /** Where fetched packages are kept, shared by any number of processes. */
  cacheDir: string;
  log?: (line: string) => void;
  /** Directories searched for a server, as in `$PATH`. */
  searchPath?: string;
  /** APT's package lists; the system's unless given. */
  aptListsDir?: string;
}

/**
 * Finds valkey-server or redis-server on the search path, else in the cache, else fetches the Debian or
 * Ubuntu packages into the cache without root: APT checks their signatures, nothing is installed.
 * Throws one error that says what to do when none of these works.
 */
export async function findRedis(options: FindRedisOptions): Promise<Program> {
  const installed = await findOnPath(SERVER_NAMES, options.searchPath ?? process.env.PATH ?? '');
  if (installed !== undefined) return { path: installed, env: {} };
  try {
    return await programOfDebianPackage({ ...options, package: 'redis-server', program: 'redis-server' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `No Redis server: neither ${SERVER_NAMES.join(' nor ')} is on PATH, and fetching one failed (${reason}). ` +
        'Install redis or valkey with your package manager, or set REDIS_URL to a running server.',
      { cause: error },
    );
  }
}
