import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startConsumer } from '@glyphmill/queue/consumer';
import { openDocumentsQueue } from '@glyphmill/queue/documents-queue';
import { QueueFull } from '@glyphmill/queue/errors';
import { feed, shortQueue } from '@glyphmill/queue/feeder';
import type { Handler } from '@glyphmill/queue/job-run';
import { openJobStore } from '@glyphmill/queue/job-store';
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
import { openInstallation, startReceiver } from './webhook-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

async function withWorker({ address }: TestQueue, handler: Handler, run: () => Promise<void>): Promise<void> {
  const options = { address, concurrency: 4, handler, models: () => [] };
  const worker = await startConsumer({ ...options, onAttempt: () => {}, onWarning: () => {} });
  await run().finally(() => worker.close(0));
}

/** Long enough for a worker and its feeder to have taken something, had they wanted to. */
const aWhileMs = 700;

test('a paused queue accepts jobs, lets those in hand end, and hands out none until it is resumed', () =>
  withTestQueue(server.url, async (queue) => {
    const { store } = queue;
    const begun: string[] = [];
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const handler: Handler = async ({ jobId }) => {
      begun.push(jobId);
      await finished;
      return succeeded;
    };
    await withWorker(queue, handler, async () => {
      const running = newJob();
      await store.submit(running);
      await until('begun', () => begun.length === 1);
      await store.pauseQueue('documents');
      for (const priority of ['high', 'normal', 'low'] as const) await store.submit(newJob({ priority }));
      finish();
      await until('the one in hand ends', async () => (await store.queueState('documents')).active === 0);
      await delay(aWhileMs);
      assert.deepEqual(begun, [running.id]);
      const { paused, waiting, backlog } = await store.queueState('documents');
      assert.deepEqual({ paused, waiting, backlog }, { paused: true, waiting: 3, backlog: 0 });

      await store.resumeQueue('documents');
      await until('all begun', () => begun.length === 4);
      await until('all ended', async () => (await store.usage('acme')).jobs === 0);
      assert.equal((await store.queueState('documents')).paused, false);
    });
  }));

test('while it is paused the queue is not filled, its depth is counted, and deadlines and cancels act', () =>
  withTestQueue(
    server.url,
    async (queue) => {
      const { store, redis, keys } = queue;
      await withWorker(
        queue,
        async () => succeeded,
        async () => {
          await store.pauseQueue('documents');
          const jobs = Array.from({ length: shortQueue + 20 }, () => newJob());
          const [first, second, ...others] = jobs;
          assert.ok(first && second);
          await store.submit({ ...first, deadlineMs: Date.now() + 5000 });
          for (const job of [second, ...others]) await store.submit(job);
          await store.submit({ ...newJob(), deadlineMs: Date.now() + 5000 });
          const state = await store.queueState('documents');
          assert.deepEqual([state.waiting, state.backlog], [shortQueue, 21]);
          await assert.rejects(store.submit(newJob()), (error) => error instanceof QueueFull);

          assert.equal(await store.cancel('acme', second.id), 'canceled');
          await until(
            'the deadlines act',
            async () => (await store.list('acme', { limit: 9, status: 'expired' })).records.length === 2,
          );
          const room = await store.queueState('documents');
          assert.equal(room.waiting, shortQueue - 2, 'and room is made');
          const documents = openDocumentsQueue(redis, keys, () => {});
          assert.equal(await feed({ redis, keys, queue: documents }), 0, 'nobody fills it');
          await documents.close();

          await store.resumeQueue('documents');
          await until('all ended', async () => (await store.usage('acme')).jobs === 0);
          assert.equal((await store.list('acme', { limit: 100, status: 'succeeded' })).records.length, 100);
          const end = await store.queueState('documents');
          assert.deepEqual([end.waiting, end.backlog, end.oldestAtMs], [0, 0, null]);
        },
      );
    },
    { maxWaiting: shortQueue + 21 },
  ));

test('the age of the oldest is that of whoever waits longest, in the queue or in the backlog, canceled ones aside', () =>
  withTestQueue(server.url, async ({ store, redis, keys }) => {
    assert.equal((await store.queueState('documents')).oldestAtMs, null);
    const createdAt = async (id: string) => (await store.get('acme', id))?.createdAtMs;
    const [low, normal] = [newJob({ priority: 'low' }), newJob()];
    await store.submit(low);
    await delay(20);
    await store.submit(normal);
    assert.equal((await store.queueState('documents')).oldestAtMs, await createdAt(low.id));
    await store.cancel('acme', low.id);
    assert.equal((await store.queueState('documents')).oldestAtMs, await createdAt(normal.id));
    const others = Array.from({ length: shortQueue }, () => newJob());
    for (const job of others) await store.submit(job);
    for (const { id } of [normal, ...others.slice(0, -1)]) await begin(redis, keys, id);
    const [backlogged] = others.slice(-1);
    assert.equal((await store.queueState('documents')).oldestAtMs, await createdAt(backlogged?.id ?? ''));
  }));

test('paused deliveries wait, events are not lost, and resumed they go out', async () => {
  const installation = await openInstallation(server.url);
  const receiver = await startReceiver();
  const store = await openJobStore(installation.address, {
    limits: testLimits,
    onError: () => {},
    onWarning: () => {},
  });
  try {
    await installation.startApp();
    await store.pauseQueue('deliveries');
    const ids = [await installation.endJob(receiver.url), await installation.endJob(receiver.url)];
    const state = await until('deliveries wait', async () => {
      const now = await store.queueState('deliveries');
      return now.waiting === 2 && now.backlog === 0 && now;
    });
    assert.ok(state.paused && state.oldestAtMs !== null && state.oldestAtMs <= Date.now());
    await delay(aWhileMs);
    assert.equal(receiver.requests.length, 0);
    await store.resumeQueue('deliveries');
    await until('delivered', () => receiver.requests.length === ids.length);
    await until(
      'both are counted',
      async () => (await store.queueState('deliveries')).perSecond === ids.length / 60,
    );
  } finally {
    await installation.close();
    await store.close();
    await receiver.close();
  }
});
