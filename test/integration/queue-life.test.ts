import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JobFailure } from '@glyphmill/contract/failure';
import { claim, commit } from '@glyphmill/queue/attempt';
import { startConsumer } from '@glyphmill/queue/consumer';
import { createJob } from '@glyphmill/queue/create';
import { openDocumentsQueue } from '@glyphmill/queue/documents-queue';
import { QuotaExceeded } from '@glyphmill/queue/errors';
import { feed, shortQueue } from '@glyphmill/queue/feeder';
import type { AttemptReport, Handler } from '@glyphmill/queue/job-run';
import {
  begin,
  newJob,
  startTestRedis,
  succeeded,
  type TestQueue,
  testLimits,
  until,
  withTestQueue,
} from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const withQueue = (run: (queue: TestQueue) => Promise<void>) => withTestQueue(server.url, run);
const broken = { code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' } as const;
const everyEvent = { url: 'https://hooks.example/', events: ['job.canceled', 'job.expired', 'job.failed'] };

async function startWorker({ address }: TestQueue, handler: Handler, concurrency = 4) {
  const reports: AttemptReport[] = [];
  const consumer = await startConsumer({
    address,
    concurrency,
    handler,
    models: () => [],
    onAttempt: (report) => reports.push(report),
    onWarning: () => {},
  });
  return { close: () => consumer.close(1000), reports };
}

/** Runs until its signal fires, as a handler does that waits for its lines. */
const untilAborted: Handler = (_attempt, { signal, begin: noteBegun }) => {
  noteBegun();
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
};

const statusOf = async (queue: TestQueue, id: string) => (await queue.store.get('acme', id))?.status;

test('a canceled job that waits never starts, and its end is told once', () =>
  withQueue(async (queue) => {
    const job = newJob({ webhook: everyEvent });
    await queue.store.submit(job);
    assert.equal(await queue.store.cancel('other', job.id), 'missing', 'another tenant’s');
    assert.equal(await queue.store.cancel('acme', job.id), 'canceled');
    assert.equal(await queue.store.cancel('acme', job.id), 'final');
    assert.equal((await queue.store.counts()).waiting, 0);
    const next = newJob();
    await queue.store.submit(next);
    const seen: string[] = [];
    const worker = await startWorker(queue, async ({ jobId }) => {
      seen.push(jobId);
      return succeeded;
    });
    await until('the next job', async () => (await statusOf(queue, next.id)) === 'succeeded');
    assert.deepEqual(seen, [next.id]);
    assert.equal(await statusOf(queue, job.id), 'canceled');
    assert.equal(await queue.redis.xlen(queue.keys.outbox), 1);
    await worker.close();
  }));

test('a canceled job that runs is left at once and is not attempted again', () =>
  withQueue(async (queue) => {
    const worker = await startWorker(queue, untilAborted);
    const job = newJob({ webhook: everyEvent });
    await queue.store.submit(job);
    await until('it runs', async () => (await statusOf(queue, job.id)) === 'running');
    assert.equal(await queue.store.cancel('acme', job.id), 'canceling');
    await queue.store.waitForEnd(job.id, { timeoutMs: 5000 });
    assert.equal(await statusOf(queue, job.id), 'canceled');
    assert.deepEqual(
      worker.reports.map(({ ended }) => ended),
      ['canceled'],
    );
    assert.equal(await queue.redis.xlen(queue.keys.outbox), 1);
    await worker.close();
  }));

test('a worker that was not told of a cancellation leaves the job at its next report', () =>
  withQueue(async (queue) => {
    const { redis, keys } = queue;
    const worker = await startWorker(queue, async (_attempt, context) => {
      await until(
        'the cancellation',
        async () => (await redis.hget(keys.record(job.id), 'status')) === 'canceling',
      );
      context.progress({ pagesTotal: 2, pagesDone: 1, pagesFailed: 0, megapixels: 1 });
      return untilAborted(_attempt, { ...context, begin: () => {} });
    });
    const job = newJob();
    await queue.store.submit(job);
    await until('it runs', async () => (await statusOf(queue, job.id)) === 'running');
    // As a cancellation whose message found nobody, the worker's connection being away.
    await redis.hset(keys.record(job.id), 'status', 'canceling');
    await until('its end', async () => (await statusOf(queue, job.id)) === 'canceled');
    await worker.close();
  }));

test('a job whose worker died while it was being canceled is ended by the next worker, unread', () =>
  withQueue(async (queue) => {
    const job = newJob();
    await queue.store.submit(job);
    await begin(queue.redis, queue.keys, job.id);
    assert.equal(await queue.store.cancel('acme', job.id), 'canceling');
    const worker = await startWorker(queue, () => assert.fail('it was read'));
    await until('its end', async () => (await statusOf(queue, job.id)) === 'canceled');
    await worker.close();
  }));

test('a job suspected of a crash is canceled also while it waits for its turn', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const suspects = [newJob(), newJob(), newJob()];
    for (const job of suspects) {
      await store.submit(job);
      await begin(redis, keys, job.id);
    }
    const begun: string[] = [];
    let finish = () => {};
    const worker = await startWorker(queue, async ({ jobId }) => {
      begun.push(jobId);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return succeeded;
    });
    await until('one begins', () => begun.length === 1);
    const [canceled, next] = suspects.filter(({ id }) => id !== begun[0]);
    assert.ok(canceled && next);
    const isRunning = async () => (await statusOf(queue, canceled.id)) === 'running';
    await until('the other is in hand', isRunning);
    assert.equal(await store.cancel('acme', canceled.id), 'canceling');
    await until('its end', async () => (await statusOf(queue, canceled.id)) === 'canceled');
    assert.equal(begun.length, 1);
    finish();
    await until('the next turn', () => begun[1] === next.id);
    finish();
    await until('its end', async () => (await statusOf(queue, next.id)) === 'succeeded');
    await worker.close();
  }));

test('a deadline ends a job that waits, one that is picked up too late, and one that runs', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const inMs = (ms: number) => ({ ...newJob({ webhook: everyEvent }), deadlineMs: Date.now() + ms });
    const waiting = inMs(50);
    await store.submit(waiting);
    await store.waitForEnd(waiting.id, { timeoutMs: 10_000 });
    const expired = await store.get('acme', waiting.id);
    assert.deepEqual([expired?.status, expired?.failure?.code], ['expired', 'deadline-exceeded']);
    assert.equal((await store.counts()).waiting, 0);

    const late = inMs(60_000);
    await store.submit(late);
    await redis.hset(keys.record(late.id), 'deadline', Date.now() - 1);
    const running = inMs(60_000);
    await store.submit(running);
    await redis.hset(keys.record(running.id), 'deadline', Date.now() + 1500);
    const begun: string[] = [];
    const worker = await startWorker(queue, (attempt, context) => {
      begun.push(attempt.jobId);
      return untilAborted(attempt, context);
    });
    for (const { id } of [late, running]) {
      await until(`the end of ${id}`, async () => (await statusOf(queue, id)) === 'expired');
    }
    assert.ok(!begun.includes(late.id), 'it was picked up too late to be read');
    assert.equal(await redis.xlen(keys.outbox), 3);
    assert.equal(await redis.zcard(keys.deadlines), 0);
    await worker.close();
  }));

test('a job with a deadline in a transient failure is not held for an attempt that would come too late', () =>
  withQueue(async (queue) => {
    const failure = { code: 'source-unavailable', message: 'slow', retryable: true, phase: 'fetch' } as const;
    const worker = await startWorker(queue, () => Promise.reject(new JobFailure(failure)));
    const job = { ...newJob(), deadlineMs: Date.now() + 900 };
    await queue.store.submit(job);
    await until('its end', async () => (await statusOf(queue, job.id)) === 'failed');
    assert.deepEqual((await queue.store.get('acme', job.id))?.failure, failure);
    assert.equal(worker.reports.length, 1);
    await worker.close();
  }));

test('a failed job tried again keeps its id, forgets its failure, and can succeed', () =>
  withQueue(async (queue) => {
    let isMended = false;
    const worker = await startWorker(queue, async () => {
      if (!isMended) throw new JobFailure(broken);
      return succeeded;
    });
    const job = newJob();
    await queue.store.submit(job);
    await until('its failure', async () => (await statusOf(queue, job.id)) === 'failed');
    assert.deepEqual(
      (await queue.store.deadLetters({ limit: 10 })).records.map(({ id }) => id),
      [job.id],
    );
    isMended = true;
    assert.equal((await queue.store.retry('other', job.id)).kind, 'missing', 'another tenant’s');
    assert.equal((await queue.store.retry('acme', job.id)).kind, 'queued');
    await until('its success', async () => (await statusOf(queue, job.id)) === 'succeeded');
    const record = await queue.store.get('acme', job.id);
    assert.deepEqual([record?.attempt, record?.failure], [2, null]);
    assert.deepEqual(await queue.store.retry('acme', job.id), { kind: 'refused', status: 'succeeded' });
    assert.deepEqual((await queue.store.deadLetters({ limit: 10 })).records, []);
    await worker.close();
  }));

test('dead letters are listed latest first, by tenant, code and time, in pages', () =>
  withQueue(async ({ store, redis, keys }) => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      const job = newJob({}, index % 2 === 0 ? 'acme' : 'other');
      await store.submit(job);
      const claimed = await claim(redis, keys, { jobId: job.id, round: 0, worker: 'w' });
      assert.ok(claimed.kind === 'claimed');
      const failure = index === 3 ? ({ ...broken, code: 'internal' } as const) : broken;
      await commit(redis, keys, { attempt: claimed.attempt, outcome: { status: 'failed', failure } });
      ids.push(job.id);
    }
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await store.deadLetters({ limit: 2, cursor });
      seen.push(...page.records.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    assert.deepEqual([...seen].sort(), [...ids].sort(), 'each once');
    const times = await Promise.all(seen.map((id) => redis.hget(keys.record(id), 'finishedAt')));
    assert.deepEqual(times, [...times].sort().reverse());
    const others = (await store.deadLetters({ limit: 10, tenant: 'other' })).records;
    assert.deepEqual(others.map(({ id }) => id).sort(), [ids[1], ids[3], ids[5]].sort());
    const internal = (await store.deadLetters({ limit: 10, code: 'internal' })).records;
    assert.deepEqual(
      internal.map(({ id }) => id),
      [ids[3]],
    );
    assert.deepEqual((await store.deadLetters({ limit: 10, failedBeforeMs: 1 })).records, []);
    await assert.rejects(store.deadLetters({ limit: 1, cursor: 'nonsense' }), RangeError);
  }));

test('a deleted job is gone with its result, its name in the lists and its place in the quota', () =>
  withQueue(async ({ store, redis, keys }) => {
    const job = newJob();
    await store.submit(job);
    assert.deepEqual(await store.delete('acme', job.id), { kind: 'open', status: 'queued' });
    const claimed = await claim(redis, keys, { jobId: job.id, round: 0, worker: 'w' });
    assert.ok(claimed.kind === 'claimed');
    await commit(redis, keys, { attempt: claimed.attempt, outcome: succeeded });
    assert.equal((await store.delete('other', job.id)).kind, 'missing');
    assert.equal((await store.delete('acme', job.id)).kind, 'deleted');
    assert.equal((await store.delete('acme', job.id)).kind, 'missing');
    assert.equal(await store.get('acme', job.id), undefined);
    const names = [keys.result(job.id), keys.tenantJobs('acme'), keys.expiry, keys.usage('acme')];
    assert.equal(await redis.exists(...names), 0);
  }));

test('a tenant over its quota is refused while another is not, and may submit again when a job has ended', () =>
  withTestQueue(
    server.url,
    async ({ store, redis, keys }) => {
      const [first, second] = [newJob(), newJob()];
      for (const job of [first, second]) await store.submit(job);
      const refused = (error: unknown) => error instanceof QuotaExceeded && error.retryAfterSeconds >= 1;
      await assert.rejects(store.submit(newJob()), refused);
      await store.submit(newJob({}, 'other'));
      const claimed = await claim(redis, keys, { jobId: first.id, round: 0, worker: 'w' });
      assert.ok(claimed.kind === 'claimed');
      await commit(redis, keys, { attempt: claimed.attempt, outcome: succeeded });
      await store.submit(newJob());
    },
    { tenant: { jobs: 2, pages: 10, megapixels: 10 } },
  ));

test('an idempotency key stands for one job, whoever dies in the middle', () =>
  withQueue(async ({ store, redis, keys }) => {
    const key = { value: 'order 1', fingerprint: 'a' };
    const job = { ...newJob(), idempotencyKey: key };
    const wanted = { tenant: 'acme', id: job.id, key };
    assert.deepEqual(await store.reserveKey(wanted), { kind: 'reserved' });
    const second = { tenant: 'acme', id: newJob().id, key };
    assert.deepEqual(await store.reserveKey(second), { kind: 'pending' });
    const other = { ...second, key: { ...key, fingerprint: 'b' } };
    assert.deepEqual(await store.reserveKey(other), { kind: 'reused' });
    assert.deepEqual(await store.reserveKey({ ...second, tenant: 'other' }), { kind: 'reserved' });
    // The job is durable with its key from one script on: a producer that dies right after it is no matter.
    await createJob(redis, keys, { job, limits: testLimits, nowMs: Date.now() });
    assert.deepEqual(await store.reserveKey(second), { kind: 'done', id: job.id });
    await store.forgetKey(wanted);
    assert.deepEqual(
      await store.reserveKey(second),
      { kind: 'done', id: job.id },
      'it is no reservation any more',
    );
    const lost = await createJob(redis, keys, {
      job: { ...newJob(), idempotencyKey: key },
      limits: testLimits,
      nowMs: Date.now(),
    });
    assert.equal(lost.kind, 'lost');
  }));

const limits = { maxWaiting: 100_000, tenant: { jobs: 100_000, pages: 1000, megapixels: 1000 } };

test('tenants take turns: twenty documents do not wait behind five thousand', () =>
  withTestQueue(
    server.url,
    async ({ store, redis, keys }) => {
      const queue = openDocumentsQueue(redis, keys, () => {});
      const many = 5000;
      const few = 20;
      // So long ago that whatever their producers had to do with them is over.
      const nowMs = Date.now() - 60_000;
      const jobs = [
        ...Array.from({ length: many }, () => newJob({}, 'big')),
        ...Array.from({ length: few }, () => newJob({}, 'small')),
      ];
      for (let at = 0; at < jobs.length; at += 500) {
        const chunk = jobs.slice(at, at + 500);
        await Promise.all(chunk.map((job) => createJob(redis, keys, { job, limits, nowMs })));
      }
      assert.ok((await store.counts()).waiting >= many - shortQueue);
      const order: string[] = [];
      while (!isServed(order)) {
        await feed({ redis, keys, queue });
        for (const job of await queue.getJobs(['prioritized', 'wait'], 0, -1, true)) {
          order.push(job.data.tenant);
          await job.remove();
        }
      }
      assert.ok(order.length <= (many + few) * 0.1, `the last of the few was number ${order.length}`);
      await queue.close();

      function isServed(served: readonly string[]): boolean {
        return served.filter((tenant) => tenant === 'small').length === few;
      }
    },
    limits,
  ));
