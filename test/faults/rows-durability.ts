import assert from 'node:assert/strict';
import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../integration/queue-setup.ts';
import type { RunningApp } from './apps.ts';
import { lineDocument, openLedger, type Submission } from './ledger.ts';
import { type Row, seconds } from './row.ts';
import type { FaultSystem } from './system.ts';

const warning = 'Redis keeps no append-only file';
/** Processes that run look twice a minute (redis-policy.ts). */
const noticeDeadlineMs = 40_000;

export const snapshotsOnly: Row = {
  number: 14,
  fault: 'Redis is started again without its append-only file, with snapshots only',
  promise: 'API and worker say in their logs that jobs can be lost, those running and those started then',
  async run(system) {
    const ledger = openLedger(system, 'row-14');
    await ledger.submitLines(4);
    await ledger.check();
    const { redis, api, worker } = system;
    const warned = (app: RunningApp) => app.log().filter(({ msg }) => String(msg).startsWith(warning)).length;
    const before = [warned(api), warned(worker)];
    assert.deepEqual(before, [0, 0], 'nobody warns while there is an append-only file');
    await redis.client.save();
    await redis.kill();
    await redis.start(['--maxmemory', '512mb', '--appendonly', 'no']);
    try {
      const begunMs = performance.now();
      await until('both warn', () => warned(api) > 0 && warned(worker) > 0, noticeDeadlineMs);
      const noticedMs = performance.now() - begunMs;
      const started = await system.addWorker();
      assert.equal(warned(started), 1, 'a worker that starts warns');
      await started.stop();
      await ledger.submitLines(4);
      await ledger.check();
      return `noticed after ${seconds(noticedMs)}`;
    } finally {
      // Written anew from what is in memory: the file from before is of before.
      await redis.client.config('SET', 'appendonly', 'yes');
      const rewritten = async () => /aof_rewrite_in_progress:0/.test(await redis.client.info('persistence'));
      await until('the append-only file is written', rewritten, 20_000);
    }
  },
};

const lostJobs = 8;

export const powerLoss: Row = {
  number: 15,
  fault: 'power loss: Redis loses the tail of its append-only file, and some acknowledged jobs with it',
  promise: 'sent again under their Idempotency-Keys they are done; results without a job harm nobody',
  async run(system) {
    const ledger = openLedger(system, 'row-15');
    await ledger.submitLines(8);
    await ledger.check();
    const { redis } = system;
    const file = await appendOnlyFile(system);
    const keptBytes = await settledSize(system, file);
    await system.put('row-15/line', lineDocument(1).bytes);
    const lines = Array.from({ length: lostJobs }, (_, index): Submission => {
      const headers = { 'idempotency-key': `row-15-${index}` };
      return { key: 'row-15/line', expected: { text: lineDocument(1).text }, headers };
    });
    const lost = await Promise.all(lines.map(ledger.submit));
    // Some have ended and told so, and all of that is gone.
    await ledger.ended(lost[0] ?? '', 20_000);
    await redis.kill();
    // Cut in the middle of a command, as a disk would.
    await truncate(file, keptBytes + 17);
    await redis.start();
    for (const id of lost) {
      const gone = async () => (await system.call(`/v1/jobs/${id}`)).status === 404;
      await until('the tail is lost', gone, 20_000);
      ledger.forget(id);
    }
    const again = await Promise.all(lines.map(ledger.submit));
    await ledger.check();
    assert.equal(new Set([...lost, ...again]).size, 2 * lostJobs, 'each was lost and taken anew');
    return `${lost.length} jobs lost and sent again`;
  },
};

/** The file that Redis appends to now. */
async function appendOnlyFile({ dir }: FaultSystem): Promise<string> {
  const directory = join(dir, 'redis/appendonlydir');
  const names = (await readdir(directory)).filter((name) => name.endsWith('.incr.aof'));
  assert.equal(names.length, 1, `one file is appended to: ${names.join(', ')}`);
  return join(directory, names[0] ?? '');
}

/** Its size once everything that was done so far is in it. */
async function settledSize({ redis: { client } }: FaultSystem, file: string): Promise<number> {
  const isWritten = async () => /aof_buffer_length:0\r/.test(await client.info('persistence'));
  await until('everything is written', isWritten);
  return (await stat(file)).size;
}
