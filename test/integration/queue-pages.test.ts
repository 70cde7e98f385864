// Which pages of a job can be read before its end, as Redis knows it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Attempt, commit, release, reportProgress } from '@glyphmill/queue/attempt';
import type { KeptPage } from '@glyphmill/queue/kept-pages';
import fc from 'fast-check';
import { begin, newJob, startTestRedis, succeeded, type TestQueue, withTestQueue } from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const withQueue = (run: (queue: TestQueue) => Promise<void>) => withTestQueue(server.url, run);

const note = ({ redis, keys }: TestQueue, attempt: Attempt, kept: KeptPage) =>
  reportProgress(redis, keys, {
    attempt,
    pages: { pagesTotal: 9, pagesDone: 1, pagesFailed: 0, megapixels: 1, kept },
  });

/** A job of which page 2 was read and page 4 failed. */
async function halfRead(queue: TestQueue) {
  const job = newJob();
  await queue.store.submit(job);
  const attempt = await begin(queue.redis, queue.keys, job.id);
  assert.equal(await note(queue, attempt, { number: 2, status: 'succeeded' }), 'ok');
  assert.equal(await note(queue, attempt, { number: 4, status: 'failed' }), 'ok');
  return { job, attempt };
}

const keptOf = async ({ store }: TestQueue, id: string) => [...(await store.keptPages(id))];
const half = [
  [2, 'succeeded'],
  [4, 'failed'],
];
const failure = { code: 'timeout', message: 'late', retryable: false, phase: 'recognize' } as const;

test('any pages that an attempt notes are found again, each as what it was noted', () =>
  withQueue(async (queue) => {
    const pages = fc.uniqueArray(
      fc.record({
        number: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 100_000 })),
        status: fc.constantFrom('succeeded' as const, 'failed' as const),
      }),
      { selector: ({ number }) => number, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(pages, async (noted) => {
        const job = newJob();
        await queue.store.submit(job);
        const attempt = await begin(queue.redis, queue.keys, job.id);
        for (const page of noted) await note(queue, attempt, page);
        const expected = noted.map(({ number, status }) => [number, status] as const);
        assert.deepEqual(
          await keptOf(queue, job.id),
          expected.sort(([a], [b]) => a - b),
        );
      }),
      { numRuns: 50 },
    );
  }));

test('an attempt that another overtook notes no page, and the new one begins without any', () =>
  withQueue(async (queue) => {
    const { job, attempt } = await halfRead(queue);
    assert.deepEqual(await keptOf(queue, job.id), half);
    await begin(queue.redis, queue.keys, job.id);
    assert.equal(await note(queue, attempt, { number: 7, status: 'succeeded' }), 'fenced');
    assert.deepEqual(await keptOf(queue, job.id), []);
  }));

test('pages stay readable, as long as their job does, when that ends without a result', () =>
  withQueue(async (queue) => {
    const { redis, keys } = queue;
    for (const outcome of [
      { status: 'canceled' },
      { status: 'expired', failure },
      { status: 'failed', failure },
    ] as const) {
      const { job, attempt } = await halfRead(queue);
      assert.equal(await commit(redis, keys, { attempt, outcome }), 'ok');
      assert.deepEqual(await keptOf(queue, job.id), half, outcome.status);
      const expiries = await Promise.all(
        [keys.pages(job.id), keys.record(job.id)].map((key) => redis.pexpiretime(key)),
      );
      assert.ok((expiries[0] ?? 0) > Date.now());
      assert.equal(expiries[0], expiries[1]);
    }
  }));

test('a result takes the place of the pages, and so do a retry and a deletion', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const gone = async (id: string) => assert.equal(await redis.exists(keys.pages(id)), 0);
    for (const status of ['succeeded', 'partial'] as const) {
      const { job, attempt } = await halfRead(queue);
      await commit(redis, keys, { attempt, outcome: { ...succeeded, status } });
      await gone(job.id);
    }
    const retried = await halfRead(queue);
    await commit(redis, keys, { attempt: retried.attempt, outcome: { status: 'failed', failure } });
    assert.equal((await store.retry('acme', retried.job.id)).kind, 'queued');
    await gone(retried.job.id);
    const deleted = await halfRead(queue);
    await commit(redis, keys, { attempt: deleted.attempt, outcome: { status: 'canceled' } });
    assert.equal((await store.delete('acme', deleted.job.id)).kind, 'deleted');
    await gone(deleted.job.id);
  }));

test('a job canceled between two attempts, or after its worker died, keeps what was read', () =>
  withQueue(async (queue) => {
    const { redis, keys, store } = queue;
    const released = await halfRead(queue);
    assert.equal(await release(redis, keys, released.attempt), 'ok');
    assert.equal(await store.cancel('acme', released.job.id), 'canceled');
    assert.deepEqual(await keptOf(queue, released.job.id), half);

    const orphan = await halfRead(queue);
    assert.equal(await store.cancel('acme', orphan.job.id), 'canceling');
    await assert.rejects(begin(redis, keys, orphan.job.id), /got canceling/);
    assert.deepEqual(await keptOf(queue, orphan.job.id), half);
    const record = await store.get('acme', orphan.job.id);
    assert.deepEqual(record?.progress, { pagesTotal: 9, pagesDone: 1, pagesFailed: 0 });
  }));
