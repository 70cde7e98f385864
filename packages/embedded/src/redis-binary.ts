import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const SERVER_NAMES = ['valkey-server', 'redis-server'];
const COMMAND_TIMEOUT_MS = 180_000;
const COMMAND_OUTPUT_BYTES = 4 * 1024 * 1024;
const ABANDONED_FETCH_MS = 60 * 60 * 1000;
const FETCH_PREFIX = '.fetch-';
/** Libraries that must match the running dynamic loader, so never taken from a package. */
const SYSTEM_ONLY = /^(libc6|libc-bin)_/;

/** A server program and the environment variables it needs to find its libraries. */
export interface RedisBinary {
  path: string;
  env: Record<string, string>;
}

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
export async function findRedis(options: FindRedisOptions): Promise<RedisBinary> {
  const installed = await findOnPath(options.searchPath ?? process.env.PATH ?? '');
  if (installed !== undefined) return { path: installed, env: {} };
  try {
    const root = join(options.cacheDir, `redis-${await platformId()}`);
    if (!(await isExecutable(serverIn(root)))) await fetchInto(root, options);
    return await binaryIn(root);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `No Redis server: neither ${SERVER_NAMES.join(' nor ')} is on PATH, and fetching one failed (${reason}). ` +
        'Install redis or valkey with your package manager, or set REDIS_URL to a running server.',
      { cause: error },
    );
  }
}

async function findOnPath(searchPath: string): Promise<string | undefined> {
  for (const name of SERVER_NAMES) {
    for (const directory of searchPath.split(delimiter)) {
      const path = join(directory, name);
      if (directory !== '' && (await isExecutable(path))) return path;
    }
  }
  return undefined;
}

/** Names the cache after release and processor, for a cache that containers of several kinds share. */
async function platformId(): Promise<string> {
  if (process.platform !== 'linux') throw new Error(`no packages for platform ${process.platform}`);
  const release = await readFile('/etc/os-release', 'utf8');
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(release)?.[1] ?? '';
  if (!/\b(debian|ubuntu)\b/.test(`${field('ID')} ${field('ID_LIKE')}`)) {
    throw new Error(`no packages for ${field('ID') || 'this Linux'}, only for Debian and Ubuntu`);
  }
  return `${field('ID')}-${field('VERSION_ID') || field('VERSION_CODENAME')}-${process.arch}`;
}

async function fetchInto(root: string, options: FindRedisOptions): Promise<void> {
  await mkdir(options.cacheDir, { recursive: true });
  await removeAbandonedFetches(options.cacheDir);
  const work = join(options.cacheDir, FETCH_PREFIX + randomUUID());
  const tree = join(work, 'tree');
  try {
    await mkdir(join(work, 'archives', 'partial'), { recursive: true });
    await mkdir(join(work, 'lists', 'partial'), { recursive: true });
    await mkdir(tree);
    await downloadPackages(work, options);
    for (const name of await readdir(join(work, 'archives'))) {
      if (!name.endsWith('.deb') || SYSTEM_ONLY.test(name)) continue;
      await execute('dpkg-deb', ['-x', join(work, 'archives', name), tree]);
    }
    const binary = await binaryIn(tree);
    await execute(binary.path, ['--version'], binary.env);
    await publish(tree, root);
    options.log?.(`Redis is ready in ${root}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Fails over to lists of our own: a new machine's are empty, and old ones name packages since replaced. */
async function downloadPackages(work: string, options: FindRedisOptions): Promise<void> {
  options.log?.('No Redis server on PATH: fetching redis-server from the distribution (about 2 MB, no root)');
  try {
    await apt(work, options.aptListsDir, ['install', ...INSTALL_ARGUMENTS]);
    return;
  } catch {
    options.log?.("The system's package lists do not do: fetching current ones (about 15 MB)");
  }
  const lists = join(work, 'lists');
  // One dead third-party source fails the update as a whole; whether Debian's own lists came is decided
  // by the download, so its error says more than the update's alone.
  const updateFailure = await apt(work, lists, ['update', ...UPDATE_ARGUMENTS]).then(
    () => '',
    (error: Error) => `; before it: ${error.message}`,
  );
  try {
    await apt(work, lists, ['install', ...INSTALL_ARGUMENTS]);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}${updateFailure}`, { cause: error });
  }
}

const INSTALL_ARGUMENTS = ['--download-only', '--no-install-recommends', '--yes', 'redis-server'];
const UPDATE_ARGUMENTS = [
  '-o',
  'Acquire::Languages=none',
  '-o',
  'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
];

/** `install --download-only` resolves just the packages this machine lacks; every path it writes is ours. */
async function apt(work: string, listsDir: string | undefined, args: string[]): Promise<void> {
  const settings = [
    `Dir::Cache=${work}`,
    `Dir::Cache::archives=${join(work, 'archives')}`,
    ...(listsDir === undefined ? [] : [`Dir::State::lists=${listsDir}`]),
    'APT::Sandbox::User=root',
    'Debug::NoLocking=1',
    'Acquire::Retries=2',
    'Acquire::http::Timeout=20',
    'Acquire::https::Timeout=20',
  ];
  await execute('apt-get', [...settings.flatMap((setting) => ['-o', setting]), '-q', ...args]);
}

async function execute(program: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  try {
    await promisify(execFile)(program, args, {
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: COMMAND_OUTPUT_BYTES,
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...env },
    });
  } catch (error) {
    throw new Error(`${program} failed: ${lastLines(error)}`, { cause: error });
  }
}

function lastLines(error: unknown): string {
  const stderr =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  return stderr.trim().split('\n').slice(-3).join(' ') || String(error);
}

async function binaryIn(root: string): Promise<RedisBinary> {
  const libraries: string[] = [];
  for (const parent of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    const entries = await readdir(parent).catch(() => []);
    libraries.push(...entries.filter((name) => /-linux-gnu/.test(name)).map((name) => join(parent, name)));
  }
  const inherited = process.env.LD_LIBRARY_PATH;
  if (inherited !== undefined && inherited !== '') libraries.push(inherited);
  return { path: serverIn(root), env: { LD_LIBRARY_PATH: libraries.join(delimiter) } };
}

/** A rename is all or nothing; when another process was faster, its tree is as good as ours. */
async function publish(tree: string, root: string): Promise<void> {
  try {
    await rename(tree, root);
  } catch (error) {
    if (!(await isExecutable(serverIn(root)))) throw error;
  }
}

/** A killed fetch leaves its work directory behind; a running one is younger than this. */
async function removeAbandonedFetches(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith(FETCH_PREFIX)) continue;
    const path = join(cacheDir, name);
    const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > ABANDONED_FETCH_MS) await rm(path, { recursive: true, force: true });
  }
}

function serverIn(root: string): string {
  return join(root, 'usr', 'bin', 'redis-server');
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
