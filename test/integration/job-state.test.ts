// The page of all states (job-state.ts) and the Lua scripts must be the same machine: random histories are played against
// both, and every answer and every state compared.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '@glyphmill/contract/id';
import { type FinalStatus, isFinal, statusSchema } from '@glyphmill/contract/job';
import {
  type Attempt,
  begin,
  claim,
  commit,
  type Outcome,
  release,
  reportProgress,
} from '@glyphmill/queue/attempt';
import { batchJobId } from '@glyphmill/queue/batch-job-id';
import { holdLease, takeBatches } from '@glyphmill/queue/batch-lease';
import { createJob } from '@glyphmill/queue/create';
import {
  type JobEvent,
  type JobState,
  newState,
  type Transition,
  transition,
} from '@glyphmill/queue/job-state';
import { deleteJob, retryJob } from '@glyphmill/queue/retry';
import { answerList, loadScript } from '@glyphmill/queue/script';
import fc from 'fast-check';
import {
  newJob,
  startTestRedis,
  succeeded,
  type TestQueue,
  testLimits,
  withTestQueue,
} from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const takeScript = loadScript('take');
const failure = { code: 'internal', message: 'no', retryable: false, phase: 'decode' } as const;
const outcomes: Record<FinalStatus, Outcome> = {
  succeeded,
  partial: { ...succeeded, status: 'partial', pagesFailed: 1 },
  failed: { status: 'failed', failure },
  expired: { status: 'expired', failure },
  canceled: { status: 'canceled' },
};

/**
 * What is done next; `who` picks one of the tokens given out so far, so that old ones come back, and `late` claims for the
 * round before.
 */
const anyStep = fc.record({
  type: fc.constantFrom('claim', 'begin', 'progress', 'release', 'take', 'end', 'end', 'retry', 'delete'),
  who: fc.nat(3),
  worker: fc.constantFrom('w1', 'w2'),
  late: fc.integer({ min: 0, max: 3 }).map((drawn) => drawn === 0),
  why: fc.constantFrom('cancel', 'expire'),
  status: fc.constantFrom('succeeded', 'partial', 'failed', 'expired', 'canceled'),
});

test('random histories end the same on the page of states and in Redis', () =>
  withTestQueue(server.url, async (queue) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 25 }), (steps) => play(queue, steps)),
      { numRuns: 400, includeErrorInReport: true },
    );
  }));

interface Step {
  type: JobEvent['type'];
  who: number;
  worker: string;
  late: boolean;
  why: 'cancel' | 'expire';
  status: FinalStatus;
}

async function play(queue: TestQueue, steps: readonly Step[]): Promise<void> {
  const { redis, keys, store } = queue;
  await redis.flushdb();
  const { job, batch } = await createInBatch(queue);
  let state: JobState | undefined = { ...newState, hasDeadline: true };
  let open = 1;
  let completions = 0;
  const tokens: string[] = ['att_none'];
  for (const { type, who, worker, late, why, status } of steps) {
    const round = (state?.round ?? 0) - (late ? 1 : 0);
    const token = tokens[Math.max(0, tokens.length - 1 - who)] ?? 'att_none';
    const played = await act(queue, job.id, { type, token, worker, round, why, status });
    if (played.newToken !== undefined) tokens.push(played.newToken);
    const before: JobState | undefined = state;
    const expected: Transition = transition(before, played.event);
    assert.equal(played.answer, expected.answer, `${JSON.stringify(before)} ${JSON.stringify(played.event)}`);
    state = expected.state;
    assert.deepEqual(await stored(queue, job.id), state);
    if (expected.effects.includes('finish')) {
      open = 0;
      completions += 1;
    }
    if (expected.effects.includes('feed')) open = 1;
    assert.equal(Number((await redis.hget(keys.usage(job.tenant), 'jobs')) ?? 0), open, 'the quota');
    await assertLoad(queue, job.id, open);
    const ttlMs = await redis.pttl(keys.record(job.id));
    assert.equal(ttlMs > 0, state !== undefined && isFinal(state.status), `a lifetime of ${ttlMs} ms`);
    const counted = await store.batches.get(job.tenant, batch.id);
    const counts = Object.entries(counted?.counts ?? {}).filter(([, count]) => count !== 0);
    assert.deepEqual(counts, [[state?.status ?? 'deleted', 1]], 'how its batch counts it');
    assert.equal(counted?.finishedAtMs !== null, open === 0, 'whether its batch has completed');
    assert.equal(await redis.xlen(keys.outbox), completions, 'events of its batch');
  }
}

/** What autoscaling sees of the one job: itself while it is open, and the pages of it that are left once they are known. */
async function assertLoad({ redis, keys }: TestQueue, jobId: string, open: number): Promise<void> {
  const [left, held] = await redis.hmget(keys.record(jobId), 'pagesLeft', 'heldPages');
  assert.equal(left === null, held === null, 'pages are known, and counted, together');
  const load = { jobs: `${open}`, known: left === null ? '0' : '1', pages: left ?? '0' };
  const { jobs = '0', known = '0', pages = '0' } = await redis.hgetall(keys.load);
  assert.deepEqual({ jobs, known, pages }, load);
  const [status] = await redis.hmget(keys.record(jobId), 'status');
  const waits = (await redis.zscore(`${keys.prefix}:waiting`, jobId)) !== null;
  assert.ok(status === 'canceling' || waits === (status === 'queued'), `${status}, waiting: ${waits}`);
}

/** A job that is the only one of its batch, which tells when it completes. */
async function createInBatch({ redis, keys, store }: TestQueue) {
  const { tenant, task } = newJob();
  const batch = { id: newId('bat'), tenant };
  const plan = { source: { type: 'items', count: 1 } as const, task, deadlineMs: null };
  const receiver = { url: 'https://hooks.example/', endpointIds: null };
  await store.batches.create({ ...batch, plan, entries: [], rejected: [], receiver });
  const job = {
    id: batchJobId(batch.id, 0),
    tenant,
    task,
    batch: { id: batch.id, index: 0 },
    deadlineMs: Date.now() + 3_600_000,
  };
  await createJob(redis, keys, { job, limits: testLimits, nowMs: Date.now() });
  const [token, stop] = ['wrk_one', new AbortController()];
  await takeBatches(redis, keys, { token, most: 1 });
  const lease = holdLease(redis, keys, { batchId: batch.id, token, stop, onError: assert.fail });
  await lease.endIngest({ state: 'done' });
  lease.close();
  return { job, batch };
}

/** Does to the job in Redis what the step says, and tells it as an event and an answer of the page of states. */
async function act(
  { redis, keys }: TestQueue,
  jobId: string,
  step: Omit<Step, 'who' | 'late'> & { token: string; round: number },
): Promise<{ event: JobEvent; answer: string; newToken?: string }> {
  const { type, token, worker, round, why, status } = step;
  const attempt: Attempt = {
    ...newJob(),
    jobId,
    token,
    number: 1,
    crashes: 0,
    createdAtMs: 0,
    deadlineMs: null,
  };
  switch (type) {
    case 'claim': {
      const claimed = await claim(redis, keys, { jobId, round, worker });
      if (!('attempt' in claimed)) return { event: { type, token: '', worker, round }, answer: claimed.kind };
      const newToken = claimed.attempt.token;
      const answer = claimed.kind === 'claimed' ? 'ok' : claimed.kind;
      return { event: { type, token: newToken, worker, round }, answer, newToken };
    }
    case 'begin':
      return {
        event: { type, token, worker },
        answer: orMissing(await begin(redis, keys, { attempt, worker }), await gone()),
      };
    case 'progress': {
      const pages = { pagesTotal: 3, pagesDone: 1, pagesFailed: 0, megapixels: 2 };
      return {
        event: { type, token },
        answer: orMissing(await reportProgress(redis, keys, { attempt, pages }), await gone()),
      };
    }
    case 'release':
      return { event: { type, token }, answer: orMissing(await release(redis, keys, attempt), await gone()) };
    case 'take': {
      const newToken = `att_taker${Math.random()}`;
      const answer = await takeScript.run(redis, keys, {
        keys: [keys.record(jobId)],
        args: [newToken, why, ''],
      });
      return { event: { type, token: newToken, why }, answer: answerList(answer)[0] ?? '', newToken };
    }
    case 'end':
      return {
        event: { type, token, status },
        answer: await commit(redis, keys, { attempt, outcome: outcomes[status] }),
      };
    case 'retry': {
      const { kind } = await retryJob(redis, keys, { tenant: null, jobId });
      return { event: { type }, answer: kind === 'queued' ? 'ok' : kind };
    }
    case 'delete':
      return { event: { type }, answer: (await deleteJob(redis, keys, { tenant: 'acme', jobId })).kind };
  }

  async function gone(): Promise<boolean> {
    return (await redis.exists(keys.record(jobId))) === 0;
  }
}

/** To an attempt a job that is gone and one that is another's are the same: it has nothing to write any more. */
function orMissing(answer: string, isGone: boolean): string {
  return answer === 'fenced' && isGone ? 'missing' : answer;
}

async function stored({ redis, keys }: TestQueue, jobId: string): Promise<JobState | undefined> {
  const hash = await redis.hgetall(keys.record(jobId));
  if (hash.id === undefined) return undefined;
  const { status, token = '', attempt, crashes, begunBy = '', round = '0' } = hash;
  return {
    status: statusSchema.parse(status),
    token,
    attempt: Number(attempt),
    crashes: Number(crashes),
    begunBy,
    round: Number(round),
    hasDeadline: hash.deadline !== undefined,
  };
}
