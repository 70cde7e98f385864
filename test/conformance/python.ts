import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheDir } from '../integration/api-setup.ts';
import type { Assignment, Outcome } from './case.ts';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
export const pythonPackage = join(root, 'packages/client-python');
const driver = fileURLToPath(new URL('driver.py', import.meta.url));
/** What the cases need besides the package itself. */
const needed = ['httpx>=0.25,<1', 'numpy'];
const installDeadlineMs = 120_000;
const runDeadlineMs = 120_000;

/** A Python with what the client needs, kept for later runs; or why there is none. */
export async function findPython(): Promise<{ python: string } | { missing: string }> {
  const dir = join(cacheDir, 'python');
  const found = { python: join(dir, 'bin/python') };
  if (existsSync(dir)) return found;
  // Made aside and then put there whole, since other tests may be making theirs.
  const own = `${dir}-${process.pid}`;
  try {
    await mkdir(cacheDir, { recursive: true });
    await execute('python3', ['-m', 'venv', '--clear', own], { timeout: installDeadlineMs });
    const install = ['-m', 'pip', 'install', '--quiet', '--retries', '0', ...needed];
    await execute(join(own, 'bin/python'), install, { timeout: installDeadlineMs });
    await rename(own, dir).catch((error: unknown) => {
      if (!existsSync(dir)) throw error;
    });
    return found;
  } catch (error) {
    const [why] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { missing: `needs python3 with venv, and ${needed.join(' and ')}: ${why}` };
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** Does the cases with one of the two clients of the package as it stands in the repository. */
export async function runPython(
  python: string,
  mode: 'sync' | 'async',
  { assignments, documents }: { assignments: Assignment[]; documents: string },
): Promise<Outcome[]> {
  const env = {
    PATH: process.env.PATH,
    PYTHONPATH: join(pythonPackage, 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
    DOCUMENTS: documents,
  };
  const child = spawn(python, [driver, mode], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: runDeadlineMs,
  });
  const printed: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  child.stdin.end(JSON.stringify(assignments));
  const code = await ended;
  if (code !== 0) throw new Error(`${driver} ended with ${code}`);
  return JSON.parse(Buffer.concat(printed).toString());
}
