// Tenants share the workers in turns (lua/feed.lua): played at random, and seen with a worker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startConsumer } from '@glyphmill/queue/consumer';
import { createJob, createJobs } from '@glyphmill/queue/create';
import { shortQueue } from '@glyphmill/queue/feeder';
import { answerList, loadScript } from '@glyphmill/queue/script';
import fc from 'fast-check';
import { newJob, startTestRedis, succeeded, type TestQueue, until, withTestQueue } from './queue-setup.ts';

let server: Awaited<ReturnType<typeof startTestRedis>>;
before(async () => {
  server = await startTestRedis();
});
after(() => server.stop());

const limits = { maxWaiting: 100_000, tenant: { jobs: 100_000, pages: 1000, megapixels: 1000 } };
const tenants = ['ada', 'bob', 'cyd'] as const;
type Tenant = (typeof tenants)[number];
const feedScript = loadScript('feed');

const anyStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('submit' as const),
      tenant: fc.constantFrom(...tenants),
      priority: fc.constantFrom('normal' as const, 'low' as const),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('feed' as const), room: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('end' as const),
      which: fc.nat(40),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('debt' as const),
      tenant: fc.constantFrom(...tenants),
      pages: fc.integer({ min: 1, max: 5 }),
    }),
  },
);
type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never;

test('at random, no job is lost or taken twice, each tenant’s go in order, and tenants take equal turns', () =>
  withTestQueue(server.url, async (queue) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 15, maxLength: 40 }), (steps) => play(queue, steps)),
      { numRuns: 60, includeErrorInReport: true },
    );
  }));

interface Waiting {
  id: string;
  tenant: Tenant;
  priority: 'normal' | 'low';
}

async function play({ redis, keys }: TestQueue, steps: readonly Step[]): Promise<void> {
  await redis.flushdb();
  // BullMQ's queue is full of somebody's jobs, so that all others wait for their turns.
  await redis.rpush(`${keys.prefix}:documents:wait`, ...Array.from({ length: shortQueue }, () => 'taken'));
  let waiting: Waiting[] = [];
  /** Turns had or waited out by each tenant that has something waiting; who comes anew is at the end of the round. */
  const turns = new Map<Tenant, number>();
  const backlogOf = (tenant: Tenant) =>
    ['normal', 'low'].map((name) => `${keys.prefix}:backlog:${tenant}:${name}`);
  const debtOf = async (tenant: Tenant) => Number((await redis.hget(`${keys.prefix}:debts`, tenant)) ?? 0);

  async function feed(room: number): Promise<void> {
    const debts = new Map(
      await Promise.all(tenants.map(async (name) => [name, await debtOf(name)] as const)),
    );
    const args = [5000, shortQueue + room, 1000];
    const [, ...values] = answerList(await feedScript.run(redis, keys, { keys: [keys.feeding], args }));
    const taken = values.filter((_, position) => position % 4 === 0);
    assert.ok(taken.length <= room, `${taken.length} were taken where there was room for ${room}`);
    const takenJobs: Waiting[] = [];
    for (const id of taken) {
      const job = waiting.find((one) => one.id === id);
      assert.ok(job, `${id} was taken that did not wait`);
      const first =
        waiting.find(({ tenant, priority }) => tenant === job.tenant && priority === 'normal') ??
        waiting.find(({ tenant }) => tenant === job.tenant);
      assert.equal(id, first?.id, `not the next of ${job.tenant}`);
      waiting = waiting.filter((one) => one !== job);
      takenJobs.push(job);
      turns.set(job.tenant, (turns.get(job.tenant) ?? 0) + 1);
      await redis.zrem(keys.feeding, id);
    }
    const served = new Set(takenJobs.map(({ tenant }) => tenant));
    for (const tenant of tenants) {
      const waitedOut = (debts.get(tenant) ?? 0) - (await debtOf(tenant));
      if ((await redis.exists(...backlogOf(tenant))) === 0) turns.delete(tenant);
      else turns.set(tenant, (turns.get(tenant) ?? 0) + waitedOut);
    }
    const counts = [...turns.values()];
    if (counts.length > 1) {
      for (const tenant of turns.keys()) {
        assert.ok(!served.has(tenant) || (await debtOf(tenant)) === 0, `${tenant} was served in debt`);
      }
      assert.ok(
        Math.max(...counts) - Math.min(...counts) <= 1,
        `unequal turns: ${JSON.stringify([...turns])}`,
      );
    }
  }

  for (const step of steps) {
    switch (step.type) {
      case 'submit':
        if (!turns.has(step.tenant)) turns.set(step.tenant, Math.max(0, ...turns.values()));
        for (let count = 0; count < step.count; count += 1) {
          const { tenant, priority } = step;
          const job = newJob({ priority }, tenant);
          const answer = await createJob(redis, keys, { job, limits, nowMs: Date.now() });
          assert.equal(answer.kind, 'backlog');
          waiting.push({ id: job.id, tenant, priority });
        }
        break;
      case 'end': {
        const from = step.which % Math.max(1, waiting.length);
        for (const { id } of waiting.slice(from, from + step.count)) {
          await redis.hset(keys.record(id), 'status', 'canceled');
        }
        waiting.splice(from, step.count);
        break;
      }
      case 'debt':
        if ((await redis.exists(...backlogOf(step.tenant))) > 0) {
          await redis.hincrby(`${keys.prefix}:debts`, step.tenant, step.pages);
        }
        break;
      case 'feed':
        await feed(step.room);
    }
  }
  await feed(1000);
  assert.deepEqual(waiting, [], 'jobs were lost');
  assert.equal(Number((await redis.get(keys.backlogSize)) ?? 0), 0);
  assert.equal(await redis.exists(`${keys.prefix}:debts`, `${keys.prefix}:backlog-tenants`), 0);
}

// Counted in documents that are read before, since each costs the same and a shared machine does not keep its pace.
test('with a worker, twenty documents behind five thousand wait a tenth at most of what first come, first served costs', () =>
  withTestQueue(
    server.url,
    async ({ address, redis, keys }) => {
      const many = 5000;
      const few = 20;
      const jobs = [
        ...Array.from({ length: many }, () => newJob({}, 'big')),
        ...Array.from({ length: few }, () => newJob({}, 'small')),
      ];
      for (let at = 0; at < jobs.length; at += 500) {
        const chunk = { jobs: jobs.slice(at, at + 500), limits, nowMs: Date.now() };
        const answers = await createJobs(redis, keys, chunk);
        assert.ok(answers.every((answer) => 'kind' in answer && /^(direct|backlog)$/.test(answer.kind)));
      }
      // Their producers have died: what they would have put into the queue is anybody's, without waiting for it here.
      const leased = await redis.zrange(keys.feeding, '0', '-1');
      assert.equal(leased.length, shortQueue);
      await redis.zadd(keys.feeding, 'XX', ...leased.flatMap((id) => ['0', id]));
      const small = new Set(jobs.slice(many).map(({ id }) => id));
      const ended = { all: 0, small: 0, beforeLast: 0 };
      const worker = await startConsumer({
        address,
        concurrency: 16,
        handler: async () => succeeded,
        models: () => [],
        onAttempt: ({ attempt, ended: how }) => {
          assert.equal(how, 'succeeded');
          ended.all += 1;
          if (!small.has(attempt.jobId)) return;
          ended.small += 1;
          if (ended.small === few) ended.beforeLast = ended.all;
        },
        onWarning: () => {},
      });
      await until('all of the few', () => ended.small === few, 120_000);
      await worker.close(5000);
      assert.equal(ended.small, few);
      assert.ok(ended.beforeLast <= (many + few) / 10, `the last of the few was number ${ended.beforeLast}`);
    },
    limits,
  ));
