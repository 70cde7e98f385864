import assert from 'node:assert/strict';
import { isFinal } from '@glyphmill/contract/job';
import { until } from '../integration/queue-setup.ts';
import { largeResultDocument, slowDocument } from './documents.ts';
import { type Expected, type Ledger, openLedger } from './ledger.ts';
import type { Trap } from './proxy.ts';
import { type Row, seconds } from './row.ts';
import { callOf } from './scripts.ts';
import type { FaultSystem } from './system.ts';
import { within } from './waiting.ts';

/** A lock lives so long, and so often is looked for dead ones: what consumer.ts sets. */
const takeoverMs = 15_000 + 5000;
/** The machine is shared, and a worker has to start first. */
const slackMs = 10_000;

export const killedDuringDecode: Row = {
  number: 1,
  fault: 'kill -9 worker during decode',
  promise: 'run again within lock + check, result once',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-1');
    const { id, begun } = await submitSlow(system, ledger, { key: 'row-1/slow', expected: { text: '' } });
    await within('decoding begins', begun.seen);
    const killedMs = Date.now();
    await system.worker.crash();
    await ledger.check();
    const job = await ledger.job(id);
    assert.equal(job.attempt, 2);
    const resumedMs = Date.parse(job.startedAt ?? '') - killedMs;
    assert.ok(resumedMs <= takeoverMs + slackMs, `it began again after ${seconds(resumedMs)}`);
    return `again after ${seconds(resumedMs)}`;
  },
};

export const killedAfterCommit: Row = {
  number: 2,
  fault: 'kill -9 between the commit and the end of the queue’s job',
  promise: 'the next attempt sees "already final", no second effect',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-2');
    const committed = system.proxy.trap(callOf('commit'), 'after');
    const [id = ''] = await ledger.submitLines(1);
    await within('the commit', committed.seen);
    // The worker does not hear that its commit was taken.
    await until('the commit is in Redis', async () => isFinal((await ledger.job(id)).status));
    await system.worker.crash();
    await untilForgotten(system, id);
    await ledger.check();
    const job = await ledger.job(id);
    assert.equal(job.attempt, 1, 'no attempt began that could have had an effect');
    return '';
  },
};

export const killedBeforeCommit: Row = {
  number: 3,
  fault: 'kill -9 between the result’s PUT to S3 and the commit',
  promise: 'the same object written over, one visible result',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-3');
    await system.put('row-3/large', await largeResultDocument());
    const committing = system.proxy.trap(callOf('commit'), 'before');
    const more = { options: { characters: true } };
    const id = await ledger.submit({ key: 'row-3/large', expected: { text: undefined }, more });
    await within('the commit', committing.seen);
    assert.equal(system.s3.count('PutObject', `results/${id}`), 1, 'the result was stored before the commit');
    assert.equal((await ledger.job(id)).status, 'running');
    await system.worker.crash();
    await ledger.check();
    assert.equal(system.s3.count('PutObject', `results/${id}`), 2, 'each attempt wrote the same object');
    return '';
  },
};

/** Until the queue has let go of a job whose worker died. */
async function untilForgotten({ redis: { client }, keys }: FaultSystem, id: string): Promise<void> {
  const active = `${keys.prefix}:documents:active`;
  await until(
    'the queue lets go of the job',
    async () => !(await client.lrange(active, 0, -1)).includes(id),
    takeoverMs + slackMs,
  );
}

export const killedThrice: Row = {
  number: 4,
  fault: 'kill -9 worker three times on the same job',
  promise: 'it ends as worker-lost, its batch mates succeed',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-4');
    const expected = { codes: ['worker-lost' as const] };
    let { id, begun } = await submitSlow(system, ledger, { key: 'row-4/slow', expected });
    for (let kill = 1; kill <= 3; kill += 1) {
      await within(`decoding begins for the ${kill}. time`, begun.seen);
      begun = system.proxy.trap(callOf('begin', id), 'after');
      await system.worker.crash();
      // What row 1 waits for is not waited for again.
      await expireLocks(system);
    }
    await ledger.check();
    return '';
  },
};

/** A document that takes its time and others with it, none of which is begun before the trap for it is set. */
async function submitSlow(
  system: FaultSystem,
  ledger: Ledger,
  { key, expected }: { key: string; expected: Expected },
): Promise<{ id: string; begun: Trap }> {
  const tell = async (order: 'pause' | 'resume') => {
    const response = await system.call(`/v1/queues/documents/${order}`, { method: 'POST' });
    assert.equal(response.status, 200, await response.text());
  };
  await system.put(key, slowDocument());
  await tell('pause');
  const id = await ledger.submit({ key, expected });
  await ledger.submitLines(6);
  const begun = system.proxy.trap(callOf('begin', id), 'after');
  await tell('resume');
  return { id, begun };
}

/** Ends the locks of jobs whose worker is dead, as time would. */
async function expireLocks({ redis: { client }, keys }: FaultSystem): Promise<void> {
  const documents = `${keys.prefix}:documents`;
  for (const id of await client.lrange(`${documents}:active`, 0, -1))
    await client.del(`${documents}:${id}:lock`);
}
