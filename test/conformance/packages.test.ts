import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPython, pythonPackage } from './python.ts';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const maxPackedBytes = 60_000;
const deadlineMs = 120_000;

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-packages-'));
});
after(() => rm(dir, { recursive: true, force: true }));

async function run(command: string, args: string[], cwd = dir): Promise<string> {
  const { stdout } = await execute(command, args, { cwd, timeout: deadlineMs });
  return stdout;
}

const usage = `import { Glyphmill, type JobHandle, NotFoundError } from 'glyphmill';
import { prepareImage } from 'glyphmill/browser';
const client = new Glyphmill({ baseUrl: 'http://127.0.0.1:1', apiKey: 'k' });
export const job: () => Promise<JobHandle> = () => client.jobs.create(new Uint8Array(1), { mode: 'line' });
export const gone = (error: unknown) => error instanceof NotFoundError && error.requestId;
export const prepared: Promise<Blob> = prepareImage(new Blob([]), { maxWidth: 10 });
// @ts-expect-error: there is no such mode.
export const wrong = () => client.jobs.create('a.png', { mode: 'page' });
`;

test('the package for npm is small, needs nothing, and has types that fit in Node and in browsers', async () => {
  await run(
    'npm',
    ['pack', '-w', 'glyphmill', '--ignore-scripts=false', '--silent', '--pack-destination', dir],
    root,
  );
  const [archive = ''] = (await readdir(dir)).filter((name) => name.endsWith('.tgz'));
  const { size } = await stat(join(dir, archive));
  assert.ok(size < maxPackedBytes, `${size} bytes`);
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  await run('npm', ['install', '--silent', '--no-audit', `./${archive}`]);
  const installed = (await readdir(join(dir, 'node_modules'))).filter((name) => !name.startsWith('.'));
  assert.deepEqual(installed, ['glyphmill']);
  await writeFile(join(dir, 'use.ts'), usage);
  const strict = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--target',
    'es2022',
    '--module',
    'nodenext',
  ];
  const tsc = join(root, 'node_modules/.bin/tsc');
  // Neither has what the other has.
  await run(tsc, [...strict, '--types', '', '--lib', 'es2022,dom,dom.iterable,dom.asynciterable', 'use.ts']);
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node', '--lib', 'es2022'];
  await run(tsc, [...strict, ...types, 'use.ts']);
  const script =
    "import('glyphmill').then(({ Glyphmill }) => new Glyphmill({ baseUrl: 'http://127.0.0.1:1', apiKey: 'k', maxRetries: 0 }).models()).catch((error) => console.log(error.name))";
  assert.equal((await run(process.execPath, ['-e', script])).trim(), 'ConnectionError');
});

test('the package for Python is built, and installed where nothing else is', async (t) => {
  const found = await findPython();
  if ('missing' in found) {
    t.skip(found.missing);
    return;
  }
  await run('python3', ['-m', 'venv', 'venv']);
  const python = join(dir, 'venv/bin/python');
  await run(python, ['-m', 'pip', 'wheel', '--quiet', '--no-deps', '--wheel-dir', 'wheels', pythonPackage]);
  const [wheel = ''] = await readdir(join(dir, 'wheels'));
  await run(python, ['-m', 'pip', 'install', '--quiet', join('wheels', wheel)]);
  const script =
    'import glyphmill, pathlib; print(pathlib.Path(glyphmill.__file__).with_name("py.typed").exists(), glyphmill.OCRClient("http://h", "k").jobs is not None)';
  assert.equal((await run(python, ['-c', script])).trim(), 'True True');
  await run(python, [join(pythonPackage, 'write_async.py'), '--check']);
});
