import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findRedis } from './redis-binary.ts';
import { claimDirectory, type DirectoryClaim } from './redis-claim.ts';
import { ping } from './redis-ping.ts';

/** Includes loading the append-only file of an earlier run. */
const START_TIMEOUT_MS = 60_000;
const START_POLL_MS = 20;
const STOP_TIMEOUT_MS = 10_000;
const LOG_TAIL_LINES = 12;
/** sun_path is 108 bytes on Linux and ends in a NUL. */
const SOCKET_PATH_BYTES = 107;
/** What both a path and a URL carry as it is, so that neither needs escaping. */
const PLAIN_PATH = /^[A-Za-z0-9/._-]+$/;

export interface StartRedisOptions {
  /** Data, log and (when its path is short and plain enough) the socket; created with mode 0700. */
  dir: string;
  /** Where a server fetched from the distribution is kept. */
  cacheDir: string;
  log?: (line: string) => void;
  /** Server arguments, after and so over ours: `['--maxmemory', '64mb']`. */
  extraArgs?: string[];
  /** Socket path, at most 107 bytes. */
  socket?: string;
  /** Also listens on 127.0.0.1:port, without a password: for tests that put a proxy before the server. */
  port?: number;
}

export interface EmbeddedRedis {
  /**
   * `unix:///path/redis.sock`. ioredis 6 takes it as it is: it reads the rest of the URL as `path`, and a
   * path wins over host and port. Its own form, the bare path, is `socketPath`.
   */
  url: string;
  socketPath: string;
  pid: number;
  /** Saves and ends the server; kills it at a deadline. May be called twice. */
  stop(): Promise<void>;
  /** Resolves to the exit code, null after a signal, however the server ended. */
  exited: Promise<number | null>;
}

/**
 * Starts a private Redis on a unix socket with an append-only file (everysec) and `noeviction`, and
 * resolves once it answers PING. One server per directory. Throws with the end of the server's log when
 * it does not come up, and when another running process holds the directory.
 */
export async function startRedis(options: StartRedisOptions): Promise<EmbeddedRedis> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o700);
  const binary = await findRedis(options);
  const claim = await claimDirectory(dir);
  try {
    const socket = await chooseSocket(dir, options.socket);
    await claim.record({ socketPath: socket.path });
    const args = [...serverArguments(dir, socket.path, options.port), ...(options.extraArgs ?? [])];
    // A group of its own, so that Ctrl-C in a terminal reaches only us and the server is stopped last.
    const child = spawn(binary.path, args, {
      cwd: dir,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...binary.env },
    });
    return await supervise({ child, dir, socket, claim });
  } catch (error) {
    await claim.release();
    throw error;
  }
}

interface Running {
  child: ChildProcess;
  dir: string;
  socket: { path: string; dispose(): Promise<void> };
  claim: DirectoryClaim;
}

async function supervise({ child, dir, socket, claim }: Running): Promise<EmbeddedRedis> {
  // The server logs to its file; only complaints about its arguments come this way, so this stays small.
  let complaints = '';
  child.stdout?.on('data', (chunk) => {
    complaints = (complaints + chunk).slice(-2000);
  });
  child.stderr?.on('data', (chunk) => {
    complaints = (complaints + chunk).slice(-2000);
  });
  const exited = new Promise<number | null>((resolveExit) => {
    child.once('error', () => resolveExit(null));
    child.once('exit', (code) => resolveExit(code));
  }).then(async (code) => {
    await claim.release();
    await socket.dispose();
    return code;
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(deadline);
  };
  const failure = await recordChild({ child, socket, claim })
    .then(() => waitUntilReady(socket.path, exited))
    .catch((error) => `could not be watched: ${error}`);
  if (failure !== undefined || child.pid === undefined) {
    await stop();
    const log = await readLogTail(dir);
    throw new Error(`Redis ${failure ?? 'could not be started'}. The end of its log:\n${complaints}${log}`);
  }
  return { url: `unix://${socket.path}`, socketPath: socket.path, pid: child.pid, stop, exited };
}

async function recordChild({ child, socket, claim }: Omit<Running, 'dir'>): Promise<void> {
  if (child.pid !== undefined) await claim.record({ socketPath: socket.path, pid: child.pid });
}

async function waitUntilReady(
  socketPath: string,
  exited: Promise<number | null>,
): Promise<string | undefined> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let failure: string | undefined;
  const ended = exited.then((code) => {
    failure = `ended with code ${code} while starting`;
  });
  while (failure === undefined) {
    if (await ping(socketPath)) return undefined;
    if (Date.now() > deadline) return `did not answer PING within ${START_TIMEOUT_MS} ms`;
    await Promise.race([ended, delay(START_POLL_MS)]);
  }
  return failure;
}

function serverArguments(dir: string, socketPath: string, port: number | undefined): string[] {
  return Object.entries({
    dir,
    unixsocket: socketPath,
    unixsocketperm: '700',
    port: String(port ?? 0),
    bind: '127.0.0.1',
    daemonize: 'no',
    logfile: join(dir, 'redis.log'),
    appendonly: 'yes',
    appendfsync: 'everysec',
    // The append-only file holds everything; snapshots would only double the writing.
    save: '',
    'maxmemory-policy': 'noeviction',
  }).flatMap(([name, value]) => [`--${name}`, value]);
}

/** Puts the socket beside the data, or in a private temporary directory when that path does not do. */
async function chooseSocket(dir: string, wanted: string | undefined): Promise<Running['socket']> {
  const path = wanted === undefined ? join(dir, 'redis.sock') : resolve(wanted);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES && PLAIN_PATH.test(path)) {
    return { path, dispose: () => rm(path, { force: true }) };
  }
  if (wanted !== undefined) {
    throw new Error(
      `The socket path must have at most ${SOCKET_PATH_BYTES} bytes of A-Z a-z 0-9 / . _ -: ${path}`,
    );
  }
  // mkdtemp makes it 0700: nobody else can put a socket of theirs in its place.
  const directory = await mkdtemp(join(tmpdir(), 'glyphmill-'));
  return {
    path: join(directory, 'redis.sock'),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}

async function readLogTail(dir: string): Promise<string> {
  const log = await readFile(join(dir, 'redis.log'), 'utf8').catch(() => '(no log)');
  return log.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
