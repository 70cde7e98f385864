import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget } from '@glyphmill/engine/budget';
import fc from 'fast-check';

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what does not fit waits until enough is given back', async () => {
  const budget = new Budget(10);
  const first = await budget.take(6, never);
  let granted = false;
  const second = budget.take(5, never).then((release) => {
    granted = true;
    return release;
  });
  await turn();
  assert.equal(granted, false);
  first();
  (await second)();
  assert.equal(budget.used, 0);
});

test('a large share is not overtaken by small ones that come later', async () => {
  const budget = new Budget(10);
  const first = await budget.take(6, never);
  const order: string[] = [];
  const take = async (name: string, amount: number) => {
    const release = await budget.take(amount, never);
    order.push(name);
    release();
  };
  const both = [take('large', 8), take('small', 1)];
  first();
  await Promise.all(both);
  assert.deepEqual(order, ['large', 'small']);
});

test('a share larger than everything gets everything', async () => {
  const budget = new Budget(10);
  const release = await budget.take(1000, never);
  assert.equal(budget.used, 10);
  release();
  assert.equal(budget.used, 0);
});

test('giving back twice gives back once', async () => {
  const budget = new Budget(10);
  const release = await budget.take(4, never);
  await budget.take(6, never);
  release();
  release();
  assert.equal(budget.used, 6);
});

test('who is told to stop waiting leaves the queue to the next', async () => {
  const budget = new Budget(10);
  const first = await budget.take(6, never);
  const stop = new AbortController();
  const large = budget.take(10, stop.signal);
  const small = budget.take(4, never);
  stop.abort(new Error('enough'));
  await assert.rejects(large, /enough/);
  (await small)();
  first();
  assert.equal(budget.used, 0);
});

test('never more is lent than there is, and everything comes back', async () => {
  const step = fc.record({ amount: fc.integer({ min: 1, max: 12 }), abort: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const budget = new Budget(10);
      let lent = 0;
      await Promise.all(
        steps.map(async ({ amount, abort }) => {
          const stop = new AbortController();
          const taking = budget.take(amount, stop.signal);
          if (abort) stop.abort(new Error('stop'));
          const release = await taking.catch(() => undefined);
          if (release === undefined) return;
          lent += Math.min(amount, 10);
          assert.ok(lent <= 10 && budget.used <= 10);
          await turn();
          lent -= Math.min(amount, 10);
          release();
        }),
      );
      assert.equal(budget.used, 0);
    }),
    { numRuns: 50 },
  );
});
