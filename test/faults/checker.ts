import assert from 'node:assert/strict';
import type { Job } from '@glyphmill/contract/job';
import { resultSchema } from '@glyphmill/contract/result';
import { until } from '../integration/queue-setup.ts';
import type { Entry } from './ledger.ts';
import type { FaultSystem } from './system.ts';

// The promises: P1 nothing accepted is lost. P2 no effect shows twice. P3 every bad input has its typed error.
// P4 recovery needs no hand. P5 nothing is left over, and memory is bounded. Every message begins with its promise.

const webhookDeadlineMs = 60_000;
/** A busy API may refuse to answer, and is asked again. */
const answerDeadlineMs = 10_000;
/** Calls of the API at once while many jobs are looked at. */
const lookAtOnce = 8;

/** Holds P1, P2, P3 and P5 against jobs that were answered 202. */
export async function checkPromises(
  system: FaultSystem,
  entries: readonly Entry[],
  { ended, withinMs }: { ended: (id: string, withinMs: number) => Promise<Job>; withinMs: number },
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  const left = () => Math.max(0, deadlineMs - performance.now());
  const jobs = await eachOf(entries, async (entry) => ({ entry, job: await ended(entry.id, left()) }));
  await eachOf(jobs, ({ entry, job }) => checkEnd(system, entry, job));
  await eachOf(jobs, ({ entry, job }) => checkWebhooks(entry, job));
  checkAttempts(system, entries);
  await checkQueues(system, entries);
  await eachOf(jobs, async ({ entry, job }) => {
    const again = await ended(entry.id, answerDeadlineMs);
    assert.equal(again.finishedAt, job.finishedAt, `P2: job ${entry.id} ended once`);
  });
}

async function checkEnd(system: FaultSystem, { id, expected }: Entry, job: Job): Promise<void> {
  if ('codes' in expected) {
    const wanted = expected.codes.join(' or ');
    assert.ok(job.error, `P3: job ${id} ended as ${job.status} where ${wanted} was due`);
    assert.ok(
      expected.codes.includes(job.error.code),
      `P3: job ${id} ended as ${job.error.code}, not ${wanted}: ${job.error.message}`,
    );
    return;
  }
  assert.equal(job.status, 'succeeded', `P1: job ${id} ended with ${JSON.stringify(job.error)}`);
  const response = await system.call(`/v1/jobs/${id}/result?format=json`);
  const body: unknown = await response.json();
  assert.equal(response.status, 200, `P2: the result of job ${id} is there: ${JSON.stringify(body)}`);
  const result = resultSchema.parse(body);
  assert.equal(result.jobId, id, 'P2: a result is of its own job');
  if (expected.text !== undefined) assert.equal(result.text, expected.text, `P2: the text of job ${id}`);
}

async function checkWebhooks({ id, hook: { deliveries } }: Entry, job: Job): Promise<void> {
  const own = () => deliveries.filter(({ event }) => event.data.jobId === id);
  await until(`P1: the webhook of job ${id}`, () => own().length > 0, webhookDeadlineMs);
  const ids = new Set(own().map(({ webhookId }) => webhookId));
  assert.equal(ids.size, 1, `P2: job ${id} has ${ids.size} webhook-ids`);
  const digests = new Set(own().map(({ digest }) => digest));
  assert.equal(digests.size, 1, `P2: the event of job ${id} has ${digests.size} bodies`);
  assert.equal(own()[0]?.event.data.status, job.status, `P2: the event of job ${id} tells its state`);
}

/** A commit that took effect is the only one that a worker logs as the end of the job. */
function checkAttempts(system: FaultSystem, entries: readonly Entry[]): void {
  const ends = new Map<string, number>();
  const commits: readonly unknown[] = ['succeeded', 'partial', 'failed', 'canceled', 'expired'];
  for (const worker of system.workers)
    for (const { msg, jobId, outcome } of worker.log())
      if (msg === 'attempt ended' && commits.includes(outcome))
        ends.set(String(jobId), (ends.get(String(jobId)) ?? 0) + 1);
  for (const { id } of entries) assert.ok((ends.get(id) ?? 0) <= 1, `P2: job ${id} was committed twice`);
}

/** Nothing of an ended job is left where jobs wait or run, and every event has left the outbox. */
async function checkQueues(
  { redis: { client }, keys }: FaultSystem,
  entries: readonly Entry[],
): Promise<void> {
  const ids = new Set(entries.map(({ id }) => id));
  const documents = `${keys.prefix}:documents`;
  const isEmpty = async () => {
    const left = await Promise.all([
      client.lrange(`${documents}:active`, 0, -1),
      client.lrange(`${documents}:wait`, 0, -1),
      client.zrange(`${documents}:prioritized`, '0', '-1'),
      client.zrange(`${documents}:delayed`, '0', '-1'),
    ]);
    return !left.flat().some((id) => ids.has(id));
  };
  await until('P5: no ended job is left in the queue', isEmpty, webhookDeadlineMs);
  const isRelayed = async () => (await client.xlen(keys.outbox)) === 0;
  await until('P5: the outbox is empty', isRelayed, webhookDeadlineMs);
}

/** Runs `work` on all of them, a few at once, and keeps their order. */
async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const run = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item !== undefined) results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lookAtOnce, items.length) }, run));
  return results;
}
