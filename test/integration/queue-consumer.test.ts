import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { JobFailure } from '@glyphmill/contract/failure';
import { commit } from '@glyphmill/queue/attempt';
import { startConsumer } from '@glyphmill/queue/consumer';
import type { AttemptReport, Handler } from '@glyphmill/queue/job-run';
import {
  begin,
  newJob,
  startTestRedis,
  succeeded,
  type TestQueue,
  until,
  withTestQueue,
} from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const withQueue = (run: (queue: TestQueue) => Promise<void>) => withTestQueue(server.url, run);

/** A worker on the queue, and what it said. */
async function startWorker({ address }: TestQueue, handler: Handler) {
  const reports: AttemptReport[] = [];
  const warnings: string[] = [];
  const consumer = await startConsumer({
    address,
    concurrency: 4,
    handler,
    models: () => [],
    onAttempt: (report) => reports.push(report),
    onWarning: (message) => warnings.push(message),
  });
  return { close: consumer.close, ping: consumer.ping, reports, warnings };
}

/** A job without its lock is handed out at the second look for such, and BullMQ looks every five seconds. */
const endsWithinMs = 30_000;
const ends = (queue: TestQueue, id: string) =>
  until(
    `end of ${id}`,
    async () => {
      const record = await queue.store.get('acme', id);
      return record !== undefined && record.finishedAtMs !== null && record;
    },
    endsWithinMs,
  );

test('a transient failure is attempted again and then succeeds', () =>
  withQueue(async (queue) => {
    const worker = await startWorker(queue, async ({ number }) => {
      if (number > 1) return succeeded;
      const message = 'S3 asks to slow down';
      throw new JobFailure({ code: 'source-unavailable', message, retryable: true, phase: 'fetch' });
    });
    const job = newJob();
    await queue.store.submit(job);
    const record = await ends(queue, job.id);
    assert.deepEqual([record.status, record.attempt, record.failure], ['succeeded', 2, null]);
    await until('both reports', () => worker.reports.length === 2);
    assert.deepEqual(
      worker.reports.map(({ ended, failure }) => [ended, failure?.code]),
      [
        ['retried', 'source-unavailable'],
        ['succeeded', undefined],
      ],
    );
    assert.equal(await queue.redis.hget(queue.keys.record(job.id), 'crashes'), '0');
    await worker.close(1000);
  }));

test('a permanent failure ends the job at its first attempt, with one event', () =>
  withQueue(async (queue) => {
    const failure = { code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' } as const;
    const worker = await startWorker(queue, async () => {
      throw new JobFailure(failure);
    });
    const job = newJob({ webhook: { url: 'https://hooks.example/', events: ['job.failed'] } });
    await queue.store.submit(job);
    const record = await ends(queue, job.id);
    assert.deepEqual([record.status, record.attempt, record.failure], ['failed', 1, failure]);
    await until('report', () => worker.reports.length === 1);
    assert.deepEqual([worker.reports[0]?.ended, worker.reports[0]?.commit], ['failed', 'ok']);
    await worker.close(1000);
    assert.equal(await queue.redis.xlen(queue.keys.outbox), 1);
    assert.deepEqual(
      worker.warnings.filter((message) => /given up/.test(message)),
      [],
    );
  }));

test('a job whose worker died three times ends as worker-lost without a fourth', () =>
  withQueue(async (queue) => {
    const job = newJob();
    await queue.store.submit(job);
    for (let death = 1; death <= 3; death += 1) await begin(queue.redis, queue.keys, job.id);
    const worker = await startWorker(queue, () => assert.fail('the job was handled'));
    const record = await ends(queue, job.id);
    assert.deepEqual([record.status, record.failure?.code], ['failed', 'worker-lost']);
    await worker.close(1000);
  }));

test('jobs that may have killed a worker take turns, and others do not wait for them', () =>
  withQueue(async (queue) => {
    const suspects = [newJob(), newJob(), newJob()];
    const fresh = newJob();
    for (const job of [...suspects, fresh]) await queue.store.submit(job);
    for (const { id } of suspects) await begin(queue.redis, queue.keys, id);
    let atOnce = 0;
    let most = 0;
    let freshBegun = false;
    const worker = await startWorker(queue, async ({ jobId, crashes }) => {
      if (jobId === fresh.id) {
        freshBegun = true;
        return succeeded;
      }
      assert.equal(crashes, 1);
      atOnce += 1;
      most = Math.max(most, atOnce);
      await until('the fresh job has begun beside the first suspect', () => freshBegun);
      atOnce -= 1;
      return succeeded;
    });
    for (const { id } of [...suspects, fresh]) {
      assert.equal((await ends(queue, id)).status, 'succeeded');
    }
    assert.equal(most, 1);
    await worker.close(1000);
  }));

test('a job that crashed twice is still attempted', () =>
  withQueue(async (queue) => {
    const job = newJob();
    await queue.store.submit(job);
    for (let death = 1; death <= 2; death += 1) await begin(queue.redis, queue.keys, job.id);
    const worker = await startWorker(queue, async ({ crashes }) => {
      assert.equal(crashes, 2);
      return succeeded;
    });
    assert.equal((await ends(queue, job.id)).status, 'succeeded');
    await worker.close(1000);
  }));

test('a damaged message and a damaged record end as invalid-job and block no other job', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const [message, task, good] = [newJob(), newJob(), newJob()];
    for (const job of [message, task, good]) await store.submit(job);
    await redis.hset(`${keys.prefix}:documents:${message.id}`, 'data', '{"v":1,"jobId":7}');
    await redis.hset(keys.record(task.id), 'task', '{"mode":');
    const worker = await startWorker(queue, async () => succeeded);
    assert.equal((await ends(queue, good.id)).status, 'succeeded');
    assert.equal((await ends(queue, message.id)).failure?.code, 'invalid-job');
    assert.equal((await ends(queue, task.id)).failure?.code, 'invalid-job');
    const { records } = await store.list('acme', { limit: 10 });
    assert.equal(records.length, 3, 'it spoils no list');
    assert.ok((await redis.pttl(keys.record(task.id))) > 0, 'it expires');
    assert.equal(
      worker.warnings.filter((text) => /cannot be read and ends as invalid-job/.test(text)).length,
      2,
    );
    await worker.close(1000);
  }));

test('a job whose entry in BullMQ is no JSON ends as invalid-job', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const fields = ['data', 'opts', 'progress', 'parent'];
    const jobs = fields.map(() => newJob());
    for (const job of jobs) await store.submit(job);
    const entry = (job: { id: string } | undefined) => `${keys.prefix}:documents:${job?.id}`;
    for (const [index, field] of fields.entries()) await redis.hset(entry(jobs[index]), field, '{"v":1');
    const worker = await startWorker(queue, () => assert.fail('a damaged job was handled'));
    await until('they are mended', async () => {
      const data = await Promise.all(jobs.map((job) => redis.hget(entry(job), 'data')));
      return data.every((json) => json === '{}');
    });
    // What BullMQ waits for before it hands them out again.
    for (const job of jobs) await redis.del(`${entry(job)}:lock`);
    for (const { id } of jobs) assert.equal((await ends(queue, id)).failure?.code, 'invalid-job');
    await worker.close(1000);
  }));

test('counts of a record that are no numbers begin anew', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const job = newJob();
    await store.submit(job);
    await redis.hset(keys.record(job.id), 'attempt', 'many', 'crashes', '{}');
    const worker = await startWorker(queue, async () => succeeded);
    const { status, attempt } = await ends(queue, job.id);
    assert.deepEqual({ status, attempt }, { status: 'succeeded', attempt: 1 });
    await worker.close(1000);
  }));

test('a job of a newer producer is left to a newer worker at no cost', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const job = newJob();
    await store.submit(job);
    const bullKey = `${keys.prefix}:documents:${job.id}`;
    await redis.hset(bullKey, 'data', JSON.stringify({ v: 2, chunk: [] }));
    const worker = await startWorker(queue, () => assert.fail('the job was handled'));
    await until('put off', async () => (await store.counts()).delayed === 1);
    assert.equal((await store.get('acme', job.id))?.status, 'queued');
    assert.equal((await redis.hget(bullKey, 'atm')) ?? '0', '0');
    await worker.close(1000);
  }));

test('a job is given up by its own count of losses, with a reason, and never by the queue for errors of any kind', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const [lost, unlucky] = [newJob(), newJob()];
    for (const job of [lost, unlucky]) await store.submit(job);
    // What BullMQ notes of stalls and of errors, for example while Redis refused claims.
    await redis.hset(`${keys.prefix}:documents:${lost.id}`, 'stc', 31);
    await redis.hset(`${keys.prefix}:documents:${unlucky.id}`, 'atm', 1000);
    const worker = await startWorker(queue, async ({ jobId }) => {
      assert.equal(jobId, unlucky.id);
      return succeeded;
    });
    const record = await ends(queue, lost.id);
    assert.deepEqual([record.status, record.failure?.code], ['failed', 'worker-lost']);
    assert.match(record.failure?.message ?? '', /lost 31 times/);
    assert.equal((await ends(queue, unlucky.id)).status, 'succeeded');
    await worker.close(1000);
  }));

test('closing lets a job end that ends in time', () =>
  withQueue(async (queue) => {
    let finish = () => {};
    const worker = await startWorker(queue, async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return succeeded;
    });
    const job = newJob();
    await queue.store.submit(job);
    await until('running', async () => (await queue.store.get('acme', job.id))?.status === 'running');
    const closing = worker.close(10_000);
    finish();
    await closing;
    assert.equal((await queue.store.get('acme', job.id))?.status, 'succeeded');
  }));

test('closing hands a job back after the grace, at no cost, and the next worker ends it', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const first = await startWorker(queue, async (_attempt, { signal }) => {
      await once(signal, 'abort');
      throw new Error('stopped in the middle');
    });
    const job = newJob();
    await store.submit(job);
    await until('running', async () => (await store.get('acme', job.id))?.status === 'running');
    await first.ping();
    const begunMs = performance.now();
    await first.close(100);
    assert.ok(performance.now() - begunMs < 2000, 'it took too long');
    assert.deepEqual(
      first.reports.map(({ ended }) => ended),
      ['handed-back'],
    );
    assert.equal((await store.get('acme', job.id))?.status, 'queued');
    assert.equal((await redis.hget(`${keys.prefix}:documents:${job.id}`, 'atm')) ?? '0', '0');
    assert.equal((await store.counts()).waiting, 1);

    const second = await startWorker(queue, async ({ number, crashes }) => {
      assert.deepEqual([number, crashes], [2, 0]);
      return succeeded;
    });
    assert.equal((await ends(queue, job.id)).status, 'succeeded');
    await second.close(1000);
  }));

test('an attempt that another overtook ends void', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const job = newJob();
    const worker = await startWorker(queue, async () => {
      await begin(redis, keys, job.id);
      return succeeded;
    });
    await store.submit(job);
    const [report] = await until('report', () => worker.reports.length > 0 && worker.reports);
    assert.deepEqual([report?.ended, report?.commit], ['void', 'fenced']);
    assert.equal((await store.get('acme', job.id))?.status, 'running');
    // Whoever overtook it may hold nothing there.
    await until('it stays in the queue', async () => (await store.counts()).delayed === 1);
    await worker.close(1000);
  }));

test('a damaged message ends its job also when that was asked for again', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const job = newJob();
    await store.submit(job);
    const failure = { code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' } as const;
    const attempt = await begin(redis, keys, job.id);
    await commit(redis, keys, { attempt, outcome: { status: 'failed', failure } });
    assert.equal((await store.retry('acme', job.id)).kind, 'queued');
    await redis.hset(`${keys.prefix}:documents:${job.id}.1`, 'data', '{"v":1,"jobId":7}');
    const worker = await startWorker(queue, () => assert.fail('the job was handled'));
    assert.equal((await ends(queue, job.id)).failure?.code, 'invalid-job');
    await worker.close(1000);
  }));

test('what BullMQ still hands out of an earlier round leaves the present one alone', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const job = newJob();
    await store.submit(job);
    const failure = { code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' } as const;
    const first = await begin(redis, keys, job.id);
    await commit(redis, keys, { attempt: first, outcome: { status: 'failed', failure } });
    await store.retry('acme', job.id);
    await redis.zrem(`${keys.prefix}:documents:prioritized`, `${job.id}.1`);
    const worker = await startWorker(queue, () => assert.fail('the job was handled'));
    await until('the earlier one is done with', async () => (await store.counts()).waiting === 0);
    await worker.close(1000);
    const record = await store.get('acme', job.id);
    assert.deepEqual([record?.status, record?.attempt], ['queued', 1]);
  }));
