import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type EmbeddedRedis, type StartRedisOptions, startRedis } from '@glyphmill/embedded/redis';
import { findRedis } from '@glyphmill/embedded/redis-binary';

/** Shared by every test run of this checkout, so that at most the first one downloads. */
const cacheDir = fileURLToPath(new URL('../../.glyphmill/cache', import.meta.url));
const DEADLINE_MS = 10_000;

let root = '';
const started: EmbeddedRedis[] = [];
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'glyphmill-redis-'));
});
after(async () => {
  await Promise.all(started.map((redis) => redis.stop()));
  await rm(root, { recursive: true, force: true });
});

test('a written key is still there after the server was killed and started again', async () => {
  const dir = join(root, 'killed');
  const first = await start({ dir, cacheDir });
  assert.equal(await resp(first.socketPath, 'SET page 1'), '+OK');
  await until(async () => (await readAppendOnlyFile(dir)).includes('page'));
  process.kill(first.pid, 'SIGKILL');
  assert.equal(await first.exited, null);
  const second = await start({ dir, cacheDir });
  assert.equal(await resp(second.socketPath, 'GET page'), '$1\r\n1');
  await second.stop();
});

test('the server refuses writes at its memory limit, appends to a file and listens on no port', async () => {
  const redis = await start({
    dir: join(root, 'settings'),
    cacheDir,
    extraArgs: ['--maxmemory', '64mb'],
  });
  try {
    assert.equal(redis.url, `unix://${redis.socketPath}`);
    for (const [name, value] of [
      ['maxmemory-policy', 'noeviction'],
      ['appendonly', 'yes'],
      ['appendfsync', 'everysec'],
      ['port', '0'],
      ['maxmemory', String(64 * 1024 * 1024)],
    ]) {
      const reply = await resp(redis.socketPath, `CONFIG GET ${name}`);
      assert.equal(reply.split('\r\n').at(-1), value, name);
    }
    assert.equal((await stat(redis.socketPath)).mode & 0o777, 0o700);
    assert.equal((await stat(join(root, 'settings'))).mode & 0o777, 0o700);
  } finally {
    await redis.stop();
  }
});

test('stop leaves no process, no socket and no claim on the directory', async () => {
  const dir = join(root, 'stopped');
  const redis = await start({ dir, cacheDir });
  await redis.stop();
  await redis.stop();
  assert.equal(await redis.exited, 0);
  assert.throws(() => process.kill(redis.pid, 0), { code: 'ESRCH' });
  assert.deepEqual((await readdir(dir)).sort(), ['appendonlydir', 'redis.log']);
});

test('a data directory too long for a socket address gets its socket in a private temporary one', async () => {
  const dir = join(root, 'long'.repeat(20), 'long'.repeat(20));
  const redis = await start({ dir, cacheDir });
  const socketDir = join(redis.socketPath, '..');
  assert.equal((await stat(socketDir)).mode & 0o777, 0o700);
  assert.equal(await resp(redis.socketPath, 'PING'), '+PONG');
  await redis.stop();
  await assert.rejects(stat(socketDir), { code: 'ENOENT' });
});

test('a server that does not come up is reported with the end of its log', async () => {
  const dir = join(root, 'broken');
  await assert.rejects(
    startRedis({ dir, cacheDir, extraArgs: ['--no-such-setting', '1'] }),
    (error: Error) => {
      assert.match(error.message, /ended with code 1/);
      assert.match(error.message, /no-such-setting/);
      return true;
    },
  );
  const redis = await start({ dir, cacheDir });
  await redis.stop();
});

test('a second server on one directory is refused, and the first keeps answering', async () => {
  const dir = join(root, 'claimed');
  const redis = await start({ dir, cacheDir });
  try {
    await assert.rejects(start({ dir, cacheDir }), /in use by process \d+/);
    assert.equal(await resp(redis.socketPath, 'PING'), '+PONG');
  } finally {
    await redis.stop();
  }
});

test('a server whose owner was killed is ended by the next start, with its data kept', async () => {
  const dir = join(root, 'orphan');
  const script = `import { startRedis } from '@glyphmill/embedded/redis';
    const redis = await startRedis(${JSON.stringify({ dir, cacheDir })});
    console.log(JSON.stringify(redis));`;
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(owner.stdout, 'data');
  const orphan: { pid: number; socketPath: string } = JSON.parse(String(line));
  await resp(orphan.socketPath, 'SET page 2');
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  assert.equal(await resp(orphan.socketPath, 'PING'), '+PONG');
  const redis = await start({ dir, cacheDir });
  assert.notEqual(redis.pid, orphan.pid);
  assert.match(await processState(orphan.pid), /^(gone|Z)$/);
  assert.equal(await resp(redis.socketPath, 'GET page'), '$1\r\n2');
  await redis.stop();
});

test('a port makes the server listen on loopback as well', async () => {
  const port = await freePort();
  const redis = await start({ dir: join(root, 'port'), cacheDir, port });
  assert.equal(await resp({ host: '127.0.0.1', port }, 'PING'), '+PONG');
  await redis.stop();
});

test('without root, a server on PATH or package lists, two processes at once fetch one whole server', async (t) => {
  if (!(await stat('/etc/debian_version').catch(() => undefined))) return t.skip('not Debian or Ubuntu');
  const fresh = join(root, 'fresh-cache');
  const aptListsDir = join(root, 'no-lists');
  await mkdir(aptListsDir);
  const lines: string[] = [];
  const find = () =>
    findRedis({ cacheDir: fresh, searchPath: '', aptListsDir, log: (line) => lines.push(line) });
  const [one, two] = await Promise.all([find(), find()]);
  assert.deepEqual(one, two);
  const { stdout } = await promisify(execFile)(one.path, ['--version'], {
    env: { ...process.env, ...one.env },
  });
  assert.match(stdout, /server v=\d+/);
  assert.equal((await readdir(fresh)).length, 1, 'nothing but the finished server is left');
  assert.ok(lines.some((line) => line.includes('package lists do not do')));
  const before = lines.length;
  assert.deepEqual(await find(), one);
  assert.equal(lines.length, before, 'the second time nothing is fetched');
});

test('a machine where nothing works is told what to do, and keeps no half cache', async () => {
  const broken = join(root, 'broken-cache');
  await mkdir(broken);
  const aptConfig = join(root, 'apt.conf');
  await writeFile(aptConfig, 'Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "/dev/null";');
  process.env.APT_CONFIG = aptConfig;
  try {
    await assert.rejects(
      findRedis({ cacheDir: broken, searchPath: '', aptListsDir: join(root, 'no-lists') }),
      /Install redis or valkey .* or set REDIS_URL/,
    );
  } finally {
    delete process.env.APT_CONFIG;
  }
  assert.deepEqual(await readdir(broken), []);
});

/** Starts a server that is stopped at the latest when the tests of this file end, failed or not. */
async function start(options: StartRedisOptions): Promise<EmbeddedRedis> {
  const redis = await startRedis(options);
  started.push(redis);
  return redis;
}

/** R, S, Z… as in proc_pid_stat(5); Z is a dead process that its parent has not collected. */
async function processState(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '(x) gone');
  return stat.split(') ').at(-1)?.split(' ')[0] ?? 'gone';
}

/** Sends one inline command and resolves to the reply without its last line end. */
async function resp(address: string | { host: string; port: number }, command: string): Promise<string> {
  const socket = typeof address === 'string' ? connect(address) : connect(address);
  socket.setEncoding('utf8');
  socket.write(`${command}\r\n`);
  const [reply] = await once(socket, 'data');
  socket.destroy();
  return String(reply).trimEnd();
}

async function readAppendOnlyFile(dir: string): Promise<string> {
  const parts = await readdir(join(dir, 'appendonlydir'));
  const texts = await Promise.all(parts.map((name) => readFile(join(dir, 'appendonlydir', name), 'latin1')));
  return texts.join('');
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `nothing happened within ${DEADLINE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}
