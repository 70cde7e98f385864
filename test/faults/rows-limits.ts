import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../integration/queue-setup.ts';
import { blankPng } from './blank-png.ts';
import { slowDocument } from './documents.ts';
import { lineDocument, openLedger } from './ledger.ts';
import { dataBytesOf } from './processes.ts';
import { submitUntilTaken } from './producer.ts';
import { type Row, Skip } from './row.ts';
import { callOf } from './scripts.ts';
import { withSoleWorker } from './sole-worker.ts';
import type { Environment } from './system.ts';
import { within } from './waiting.ts';

const restartDeadlineMs = 60_000;
const openFiles = 64;
const leakBytes = 64_000_000;

/** What the workers of these rows are started with: SIGWINCH, which nobody else heeds, makes them leak. */
export function leakingEnvironment(): Environment {
  const code =
    "process.on('SIGWINCH',()=>{for(const kept=[];;)kept.push(new Array(10000).fill(kept.length))})";
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

export const temporaryFull: Row = {
  number: 37,
  fault: 'the disk for temporary files is full',
  promise: 'jobs succeed, or end with a typed error; the worker lives',
  async run(system) {
    const ledger = openLedger(system, 'row-37');
    return withFullDisk(system.dir, (TMPDIR) =>
      withSoleWorker(system, { TMPDIR }, async (worker) => {
        const { pid } = worker;
        // To be turned, and too large for libvips to keep it in memory unasked.
        const large = { width: 6000, height: 5000, bitDepth: 16, colorType: 6, orientation: 6 } as const;
        await system.put('row-37/large', blankPng(large));
        await ledger.submit({ key: 'row-37/large', expected: { text: '' }, mode: 'document' });
        await ledger.submitLines(4);
        await ledger.check();
        assert.equal(worker.pid, pid, 'the worker lives');
        return '';
      }),
    );
  },
};

export const memoryLimited: Row = {
  number: 38,
  fault: 'the worker leaks memory until it meets the limit of its process',
  promise: 'it ends, is started again, and its jobs are run again',
  async run(system) {
    const { worker } = system;
    const ledger = openLedger(system, 'row-38');
    await system.put('row-38/slow', slowDocument());
    const begun = system.proxy.trap(callOf('begin'), 'after');
    const id = await ledger.submit({ key: 'row-38/slow', expected: { text: '' } });
    await within('decoding begins', begun.seen);
    const { pid } = worker;
    limit(pid, `--data=${dataBytesOf(pid) + leakBytes}:`);
    worker.kill('SIGWINCH');
    await ledger.submitLines(4);
    await until('a new worker', () => worker.pid !== pid, restartDeadlineMs);
    await ledger.check();
    assert.equal((await ledger.job(id)).attempt, 2);
    return '';
  },
};

export const filesLimited: Row = {
  number: 39,
  fault: `the API and the worker may open ${openFiles} files only`,
  promise: 'callers and jobs wait; nobody crashes',
  async run(system) {
    const { api, worker } = system;
    const ledger = openLedger(system, 'row-39');
    const pids = [api.pid, worker.pid];
    const before = pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length);
    const { bytes, text } = lineDocument(0);
    await system.put('row-39/line', bytes);
    const limits = pids.map(softLimitOfFiles);
    for (const pid of pids) limit(pid, `--nofile=${openFiles}:`);
    const more = { cache: 'bypass' };
    const submit = (_: unknown, job: number) =>
      submitUntilTaken(
        ledger,
        { key: 'row-39/line', expected: { text }, more },
        { idempotencyKey: `row-39-${job}` },
      );
    await Promise.all(Array.from({ length: 2 * openFiles }, submit));
    await ledger.check();
    assert.deepEqual([api.pid, worker.pid], pids, 'both live');
    for (const [index, pid] of pids.entries()) limit(pid, `--nofile=${limits[index]}:`);
    return `open before: ${before.join(' and ')}`;
  },
};

/** Sets a soft limit, which can be lifted again. */
function limit(pid: number, resource: string): void {
  execFileSync('prlimit', ['--pid', `${pid}`, resource]);
}

function softLimitOfFiles(pid: number): string {
  const args = ['--pid', `${pid}`, '--nofile', '--noheadings', '--output=SOFT'];
  return execFileSync('prlimit', args, { encoding: 'utf8' }).trim();
}

/** With a directory on a file system of 4 MB that is full. */
async function withFullDisk<T>(dir: string, work: (full: string) => Promise<T>): Promise<T> {
  const full = mkdtempSync(join(dir, 'full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', full], { stdio: 'pipe' });
  } catch (error) {
    rmSync(full, { recursive: true });
    throw new Skip(`no file system can be mounted; run it as root (${error})`);
  }
  try {
    assert.throws(() => writeFileSync(join(full, 'filler'), Buffer.alloc(5_000_000)), /ENOSPC/);
    return await work(full);
  } finally {
    execFileSync('umount', [full]);
    rmSync(full, { recursive: true });
  }
}
