import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BatcherOptions, OPEN_QUEUE_POLICY } from '@glyphmill/core/batcher';
import { runTrace, simulate } from '@glyphmill/core/simulate';
import { type PlanInput, planCapacity, planGrid } from '@glyphmill/core/simulate-plan';
import { renderPlans, renderTimeline } from '@glyphmill/core/simulate-text';
import { parseTraces, TraceError } from '@glyphmill/core/simulate-trace';

const TRACE = {
  name: 'two keys',
  cfg: { maxBatchSize: 4, preferred: [2], maxQueueDelayUs: 1000, instances: 1, svc: [3000, 10] },
  arrivals: [
    { id: 'a', t: 0 },
    { id: 'b', t: 0 },
    { id: 'c', t: 100 },
    { id: 'd', t: 5000 },
  ],
  cancels: [{ id: 'd', t: 5500 }],
};

const OPTIONS: BatcherOptions = {
  maxBatchSize: 64,
  preferredBatchSizes: [],
  maxQueueDelayUs: 5000,
  priorityLevels: 0,
  defaultPriorityLevel: 0,
  defaultQueuePolicy: OPEN_QUEUE_POLICY,
  priorityQueuePolicies: new Map(),
  instances: 1,
  bucketing: true,
};

const LOAD: PlanInput = {
  options: OPTIONS,
  ratePerSecond: 2000,
  serviceTimeUs: { t0: 1900, t1: 90 },
  instances: 1,
  seconds: 2,
  seed: 1,
};

test('a trace tells what ran when and what was dropped', () => {
  const [trace] = parseTraces(TRACE);
  assert(trace);
  assert.deepEqual(simulate(trace), {
    name: 'two keys',
    batches: [
      { t: 0, size: 2, ids: ['a', 'b'] },
      { t: 3020, size: 1, ids: ['c'] },
    ],
    dropped: [{ id: 'd', t: 5500, why: 'CANCELLED' }],
  });
});

test('a file holds one trace, a list of them or a list of vectors', () => {
  for (const file of [TRACE, [TRACE], { note: '', vectors: [TRACE] }]) {
    assert.deepEqual(
      parseTraces(file).map(({ name }) => name),
      ['two keys'],
    );
  }
});

test('what is no trace is refused with the place and what was expected', () => {
  const cases: [unknown, RegExp][] = [
    [7, /trace 0: expected an object, got 7/],
    [{ ...TRACE, cfg: { ...TRACE.cfg, svc: 'fast' } }, /trace 0\.cfg\.svc: expected a list/],
    [{ ...TRACE, cfg: { ...TRACE.cfg, maxBatchSize: undefined } }, /maxBatchSize: .* got nothing/],
    [{ ...TRACE, arrivals: [{ id: 'a', t: -1 }] }, /arrivals\[0\]\.t: expected a whole number/],
    [{ ...TRACE, arrivals: [{ t: 1 }] }, /arrivals\[0\]\.id: expected a number or a string/],
    [
      { ...TRACE, cfg: { ...TRACE.cfg, defaultPolicy: { action: 'WAIT' } } },
      /action: expected REJECT or DELAY/,
    ],
  ];
  for (const [file, message] of cases) {
    assert.throws(
      () => parseTraces(file),
      (error) => error instanceof TraceError && message.test(error.message),
    );
  }
});

test('the timeline says for each batch why it went and how long each item waited', () => {
  const [trace] = parseTraces(TRACE);
  assert(trace);
  const timeline = renderTimeline(runTrace(trace));
  assert.match(timeline, /^two keys\nup to 4 a batch, queue delay 1,000 µs, instances 1\n/);
  assert.match(timeline, /\n0 +#0 +2\/4 +3,020 +preferred: 2 reaches a preferred size +a: 0 {2}b: 0\n/);
  assert.match(timeline, /\n3,020 +#0 +1\/4 +6,030 +delay: window over 1,920 µs ago, .* +c: 2,920\n/);
  assert.match(timeline, /\n5,500 +- +- +dropped +CANCELLED +d\n$/);
});

test('a plan is repeatable, and a delay buys instance time at low load', () => {
  assert.deepEqual(planCapacity(LOAD), planCapacity(LOAD));
  const eager = planCapacity({ ...LOAD, options: { ...OPTIONS, maxQueueDelayUs: 0 } });
  const patient = planCapacity({ ...LOAD, options: { ...OPTIONS, maxQueueDelayUs: 20_000 } });
  assert(eager.latencyP50Us < patient.latencyP50Us);
  assert(eager.busyShare > 1.5 * patient.busyShare);
  assert(eager.meanFill < patient.meanFill);
});

test('a plan keeps its books: every item completes, at the offered rate, within the capacity', () => {
  const plan = planCapacity(LOAD);
  assert.equal(plan.dropped, 0);
  assert(Math.abs(plan.throughputPerSecond / LOAD.ratePerSecond - 1) < 0.05);
  assert.equal(Math.round(plan.capacityPerSecond), Math.round(64e6 / (1900 + 64 * 90)));
  assert.equal(Math.round(plan.meanFill * 64 * plan.batches), plan.items);
  const overload = planCapacity({ ...LOAD, ratePerSecond: 20_000 });
  assert(overload.throughputPerSecond < overload.capacityPerSecond);
  assert(overload.throughputPerSecond > 0.95 * overload.capacityPerSecond, 'under overload batches are full');
});

test('a grid of plans becomes a table with one line each', () => {
  const plans = planGrid(LOAD, { maxBatchSizes: [8, 64], maxQueueDelaysUs: [0, 5000] });
  assert.deepEqual(
    plans.map(({ maxBatchSize, maxQueueDelayUs }) => [maxBatchSize, maxQueueDelayUs]),
    [
      [8, 0],
      [8, 5000],
      [64, 0],
      [64, 5000],
    ],
  );
  assert.equal(renderPlans(plans).trimEnd().split('\n').length, 5);
});

test('a load that is none, or too large to play, is refused', () => {
  assert.throws(
    () => planCapacity({ ...LOAD, ratePerSecond: 0 }),
    /ratePerSecond: expected a number above 0/,
  );
  assert.throws(() => planCapacity({ ...LOAD, serviceTimeUs: { t0: 0, t1: 0 } }), /serviceTimeUs/);
  assert.throws(() => planCapacity({ ...LOAD, ratePerSecond: 1e9 }), /plan fewer seconds/);
});

test('100,000 arrivals over many keys are played in under 5 seconds of processor time', () => {
  const before = process.cpuUsage();
  const plan = planCapacity({ ...LOAD, ratePerSecond: 100_000, instances: 64, seconds: 1, keys: 1000 });
  assert(plan.items > 95_000);
  const { user, system } = process.cpuUsage(before);
  assert((user + system) / 1e6 < 5);
});
