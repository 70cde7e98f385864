import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startDeadline } from '@glyphmill/engine/deadline';

const deadlineMs = 400;

/** Nothing runs in this process meanwhile. */
const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test('a deadline passes after its time, and not when it was called off', async () => {
  const begunMs = performance.now();
  let calledOff = true;
  startDeadline(deadlineMs, () => {
    calledOff = false;
  })();
  await new Promise<void>((late) => startDeadline(deadlineMs, late));
  assert.ok(performance.now() - begunMs >= deadlineMs - 1);
  assert.ok(calledOff);
});

test('time in which the process stood still does not let it pass', async () => {
  let isLate = false;
  const stop = startDeadline(deadlineMs, () => {
    isLate = true;
  });
  standStill(2 * deadlineMs);
  await delay(deadlineMs / 10);
  assert.ok(!isLate);
  stop();
});
