import assert from 'node:assert/strict';
import { until } from '../integration/queue-setup.ts';
import { expectAttempts } from './apps.ts';
import { openLedger } from './ledger.ts';
import { whilePaused } from './paused-queue.ts';
import type { Row } from './row.ts';
import type { FaultSystem } from './system.ts';

export const newerProducer: Row = {
  number: 43,
  fault: 'jobs of a newer producer: another version of the message, fields that we do not know',
  promise: 'left to a newer worker, not failed; fields that we do not know do no harm',
  async run(system) {
    const { redis, keys, worker } = system;
    const ledger = openLedger(system, 'row-43');
    let newer = '';
    let wider = '';
    await whilePaused(system, async () => {
      newer = await ledger.submitLine();
      const message = JSON.stringify({ v: 2, document: newer });
      await redis.client.hset(bullKey(system, newer), 'data', message);
      wider = await ledger.submitLine();
      const record = keys.record(wider);
      const task: unknown = JSON.parse((await redis.client.hget(record, 'task')) ?? '');
      assert.ok(typeof task === 'object' && task !== null && 'options' in task);
      const options = Object.assign({}, task.options, { handwriting: true });
      const changed = { ...task, options, watermark: 'none' };
      await redis.client.hset(record, 'task', JSON.stringify(changed));
    });
    const isLeft = (line: Record<string, unknown>) => String(line.msg).includes(`${newer} has a newer form`);
    // Looked at, put off, and looked at again.
    await until('it is left', () => worker.log().filter(isLeft).length >= 2, 30_000);
    const job = await ledger.job(newer);
    assert.deepEqual({ status: job.status, attempt: job.attempt }, { status: 'queued', attempt: 0 });
    // What a newer worker would read in it.
    const message = JSON.stringify({ v: 1, jobId: newer, tenant: 'local' });
    await redis.client.hset(bullKey(system, newer), 'data', message);
    await ledger.check();
    for (const id of [newer, wider]) expectAttempts(system.workers, id, ['succeeded']);
    return '';
  },
};

/** What of a job is overwritten in BullMQ's entry of it, and with what. */
const damages = [
  ['data', '{"v":1'],
  ['data', '"poison"'],
  ['data', '{"v":1,"jobId":"../../etc","tenant":7}'],
  ['opts', '\u0000{{'],
] as const;

export const damagedJob: Row = {
  number: 44,
  fault: 'what Redis holds of a job is overwritten with garbage',
  promise: 'invalid-job, counts begin anew, the worker lives, others unharmed',
  async run(system) {
    const { redis, keys, worker } = system;
    const ledger = openLedger(system, 'row-44');
    // With the wish goes the address of the webhook: these are looked at by hand.
    const wishes = openLedger(system, 'row-44-wishes');
    const { pid } = worker;
    await whilePaused(system, async () => {
      for (const [field, value] of damages) {
        const id = await ledger.submitLine({ expected: { codes: ['invalid-job'] } });
        await redis.client.hset(bullKey(system, id), field, value);
        await ledger.submitLine();
      }
      const id = await ledger.submitLine();
      await redis.client.hset(keys.record(id), 'attempt', 'many', 'crashes', '{}');
      for (const task of ['{"mode":', '{"mode":"poetry"}'])
        await redis.client.hset(keys.record(await wishes.submitLine()), 'task', task);
    });
    await ledger.check();
    for (const id of wishes.ids) assert.equal((await wishes.ended(id, 0)).error?.code, 'invalid-job');
    assert.equal(worker.pid, pid, 'the worker lives');
    return '';
  },
};

/** Where BullMQ has a job. */
function bullKey({ keys }: FaultSystem, id: string): string {
  return `${keys.prefix}:documents:${id}`;
}
