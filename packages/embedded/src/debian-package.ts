import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const COMMAND_TIMEOUT_MS = 180_000;
const COMMAND_OUTPUT_BYTES = 4 * 1024 * 1024;
const ABANDONED_FETCH_MS = 60 * 60 * 1000;
const FETCH_PREFIX = '.fetch-';
/** Libraries that must match the running dynamic loader, so never taken from a package. */
const SYSTEM_ONLY = /^(libc6|libc-bin)_/;

/** A program and the environment variables it needs to find its libraries. */
export interface Program {
  path: string;
  env: Record<string, string>;
}

export interface DebianPackageOptions {
  /** Name of the package, and of the program in its /usr/bin that is wanted. */
  package: string;
  program: string;
  /** Where fetched packages are kept, shared by any number of processes. */
  cacheDir: string;
  log?: ((line: string) => void) | undefined;
  /** APT's package lists; the system's unless given. */
  aptListsDir?: string | undefined;
}

/**
 * A program out of a Debian or Ubuntu package, fetched into the cache without root unless it is there: APT checks the
 * signatures, nothing is installed. Throws an error that says why there is none.
 */
export async function programOfDebianPackage(options: DebianPackageOptions): Promise<Program> {
  const root = join(options.cacheDir, `${options.program}-${await platformId()}`);
  if (!(await isExecutable(programIn(root, options.program)))) await fetchInto(root, options);
  return programWithLibraries(root, options.program);
}

/** The first of these programs on a search path such as `$PATH`. */
export async function findOnPath(names: readonly string[], searchPath: string): Promise<string | undefined> {
  for (const name of names) {
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

async function fetchInto(root: string, options: DebianPackageOptions): Promise<void> {
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
    const binary = await programWithLibraries(tree, options.program);
    await execute(binary.path, ['--version'], binary.env);
    await publish(tree, { root, program: options.program });
    options.log?.(`${options.program} is ready in ${root}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Fails over to lists of our own: a new machine's are empty, and old ones name packages since replaced. */
async function downloadPackages(work: string, options: DebianPackageOptions): Promise<void> {
  const installArguments = [...INSTALL_ARGUMENTS, options.package];
  options.log?.(
    `${options.program} is not on PATH: fetching ${options.package} from the distribution (no root)`,
  );
  try {
    await apt(work, options.aptListsDir, ['install', ...installArguments]);
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
    await apt(work, lists, ['install', ...installArguments]);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}${updateFailure}`, { cause: error });
  }
}

const INSTALL_ARGUMENTS = ['--download-only', '--no-install-recommends', '--yes'];
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

async function programWithLibraries(root: string, program: string): Promise<Program> {
  const libraries: string[] = [];
  for (const parent of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    const entries = await readdir(parent).catch(() => []);
    libraries.push(...entries.filter((name) => /-linux-gnu/.test(name)).map((name) => join(parent, name)));
  }
  const inherited = process.env.LD_LIBRARY_PATH;
  if (inherited !== undefined && inherited !== '') libraries.push(inherited);
  return { path: programIn(root, program), env: { LD_LIBRARY_PATH: libraries.join(delimiter) } };
}

/** A rename is all or nothing; when another process was faster, its tree is as good as ours. */
async function publish(tree: string, { root, program }: { root: string; program: string }): Promise<void> {
  try {
    await rename(tree, root);
  } catch (error) {
    if (!(await isExecutable(programIn(root, program)))) throw error;
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

function programIn(root: string, program: string): string {
  return join(root, 'usr', 'bin', program);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
