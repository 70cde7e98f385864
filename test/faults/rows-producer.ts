import assert from 'node:assert/strict';
import { localTenant } from 'glyphmill-cli/local-secrets';
import { until } from '../integration/queue-setup.ts';
import { lineDocument, openLedger, type Submission } from './ledger.ts';
import { submitUntilTaken } from './producer.ts';
import type { Row } from './row.ts';
import { callOf } from './scripts.ts';
import type { FaultSystem } from './system.ts';
import { within } from './waiting.ts';

const atOnce = 100;

export const sentManyTimes: Row = {
  number: 40,
  fault: `a job is sent ${atOnce} times at once under one Idempotency-Key`,
  promise: 'one job',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-40');
    const before = await jobsInAll(system);
    const job = await lineOf(system, 'row-40');
    const submit = () => submitUntilTaken(ledger, job, { idempotencyKey: 'row-40' });
    const ids = await Promise.all(Array.from({ length: atOnce }, submit));
    assert.equal(new Set(ids).size, 1, 'P2: all are told of the same job');
    assert.equal((await jobsInAll(system)) - before, 1, 'P2: there is one job');
    await ledger.check();
    return '';
  },
};

export const apiKilledAfterCreate: Row = {
  number: 41,
  fault: 'kill -9 API after Redis has taken a job, before the client hears of it',
  promise: 'the client’s next try with the same Idempotency-Key is told of that job',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-41');
    const before = await jobsInAll(system);
    const job = await lineOf(system, 'row-41');
    const created = system.proxy.trap(callOf('create'), 'after');
    const headers = { 'idempotency-key': 'row-41' };
    const first = ledger.trySubmit({ ...job, headers });
    await within('the job is created', created.seen);
    await until('it is in Redis', async () => (await jobsInAll(system)) === before + 1);
    await system.api.crash();
    assert.equal((await first).status, 0, 'the client heard nothing');
    await submitUntilTaken(ledger, job, { idempotencyKey: 'row-41' });
    assert.equal((await jobsInAll(system)) - before, 1, 'P2: there is one job');
    await ledger.check();
    return '';
  },
};

/** A line document of its own. */
async function lineOf(system: FaultSystem, name: string): Promise<Submission> {
  const { bytes, text } = lineDocument(0);
  await system.put(`${name}/line`, bytes);
  return { key: `${name}/line`, expected: { text } };
}

function jobsInAll({ redis: { client }, keys }: FaultSystem): Promise<number> {
  return client.zcard(keys.tenantJobs(localTenant));
}
