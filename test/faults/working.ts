import assert from 'node:assert/strict';
import { until } from '../integration/queue-setup.ts';
import type { Ledger } from './ledger.ts';
import { judge, type Load } from './load.ts';

const recoveryDeadlineMs = 60_000;

/** Milliseconds from now until a job has been accepted and has ended. */
export async function msUntilWorking(ledger: Ledger): Promise<number> {
  const begunMs = performance.now();
  const submitted = async () => (await ledger.trySubmitLine()).id;
  const id = await until('a job is accepted', submitted, recoveryDeadlineMs);
  await ledger.ended(id, recoveryDeadlineMs);
  return performance.now() - begunMs;
}

/** Ends the load and holds the promises against it; answers what it came to. */
export async function settle(ledger: Ledger, load: Load): Promise<string> {
  await load.stop();
  const { odd } = judge(load.answers);
  assert.deepEqual(odd, [], 'callers hear 202 or 503');
  await ledger.check();
  const refused = load.answers.length - load.accepted;
  return `${load.accepted} jobs accepted, ${refused} answered 503`;
}
