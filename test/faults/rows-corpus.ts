import assert from 'node:assert/strict';
import { hostileDocuments } from './hostile-documents.ts';
import { type Ledger, lineDocument, openLedger } from './ledger.ts';
import { type Row, seconds } from './row.ts';

const goodJobs = 80;

export const hostileBatch: Row = {
  number: 42,
  fault: 'hostile documents by the dozen among good ones',
  promise:
    'each its own typed error or text; good ones take at most twice as long as among as many good documents',
  async run(system) {
    const documents = await hostileDocuments();
    for (const { name, bytes } of documents) await system.put(`row-42/${name}`, bytes);
    await system.put('row-42/good', lineDocument(0).bytes);
    const before = openLedger(system, 'row-42-before');
    const usualMs = await timeGoodJobs(before, async () => {
      const good = { key: 'row-42/good', expected: { text: undefined }, mode: 'document' } as const;
      for (const _ of documents) await before.submit({ ...good, more: { cache: 'bypass' } });
    });
    const ledger = openLedger(system, 'row-42');
    const { pid } = system.worker;
    const amongMs = await timeGoodJobs(ledger, async () => {
      for (const { name, expected } of documents)
        await ledger.submit({ key: `row-42/${name}`, expected, mode: 'document' });
    });
    assert.equal(system.worker.pid, pid, 'the worker lives');
    const took = `${seconds(usualMs)} among ${documents.length} good documents, ${seconds(amongMs)} among as many hostile documents`;
    assert.ok(amongMs <= 2 * usualMs, `P5: 95 of 100 good jobs take at most ${took}`);
    return took;
  },
};

/**
 * Submits good jobs, and halfway what else there is, and checks all of them. Answers with how long 95 of 100 good ones
 * took from being accepted to their end.
 */
async function timeGoodJobs(ledger: Ledger, submitOthers: () => Promise<void>): Promise<number> {
  const good: string[] = [];
  const submitGood = async (jobs: number) => {
    for (let job = 0; job < jobs; job += 1) good.push(await ledger.submitLine({ more: { cache: 'bypass' } }));
  };
  await submitGood(goodJobs / 2);
  await Promise.all([submitOthers(), submitGood(goodJobs / 2)]);
  await ledger.check();
  const took = await Promise.all(
    good.map(async (id) => {
      const { createdAt, finishedAt } = await ledger.job(id);
      return Date.parse(finishedAt ?? '') - Date.parse(createdAt);
    }),
  );
  return took.sort((a, b) => a - b)[Math.floor(0.95 * took.length)] ?? Number.NaN;
}
