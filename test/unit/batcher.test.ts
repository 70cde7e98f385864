import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Batcher,
  type BatcherOptions,
  BatcherOptionsError,
  BatcherUsageError,
  type Effect,
  type Item,
  OPEN_QUEUE_POLICY,
} from '@glyphmill/core/batcher';

const OPTIONS: BatcherOptions = {
  maxBatchSize: 4,
  preferredBatchSizes: [],
  maxQueueDelayUs: 1000,
  priorityLevels: 0,
  defaultPriorityLevel: 0,
  defaultQueuePolicy: OPEN_QUEUE_POLICY,
  priorityQueuePolicies: new Map(),
  instances: 1,
  bucketing: true,
};

test('items of alternating keys form one batch for each key', () => {
  const items = ['a1', 'b1', 'a2', 'b2', 'a3', 'b3'];
  const batcher = new Batcher<null>({ ...OPTIONS, instances: 6 });
  assert.deepEqual(seen(batcher.enqueue(items.map(lineOf), 0)), []);
  assert.equal(batcher.wakeAtUs, 1000);
  assert.deepEqual(seen(batcher.wake(1000)), ['delay a1 a2 a3', 'delay b1 b2 b3']);
});

test("in Triton's order alternating keys flush each other", () => {
  const batcher = new Batcher<null>({ ...OPTIONS, instances: 6, bucketing: false });
  const effects = batcher.enqueue(['a1', 'b1', 'a2', 'b2'].map(lineOf), 0);
  assert.deepEqual(seen(effects), ['size a1', 'size b1', 'size a2']);
});

test('of the buckets that may go, the one whose oldest item is oldest goes first', () => {
  const batcher = busy(OPTIONS);
  batcher.enqueue(['b1'].map(lineOf), 10);
  batcher.enqueue(['a1', 'a2', 'a3', 'a4'].map(lineOf), 20);
  batcher.enqueue(['b2'].map(lineOf), 30);
  assert.deepEqual(seen(batcher.complete(0, 500)), ['size a1 a2 a3 a4'], 'b is still in its window');
  assert.deepEqual(seen(batcher.complete(0, 1400)), ['delay b1 b2']);
  batcher.enqueue(['b3'].map(lineOf), 1500);
  batcher.enqueue(['a5', 'a6', 'a7', 'a8'].map(lineOf), 1600);
  assert.deepEqual(seen(batcher.complete(0, 2600)), ['delay b3'], 'a is full, but b has waited longer');
});

test('a bucket with an item of a lower level goes first, whatever waits elsewhere', () => {
  const batcher = busy({ ...OPTIONS, priorityLevels: 2, defaultPriorityLevel: 2 });
  batcher.enqueue(['b1', 'b2', 'b3', 'b4'].map(lineOf), 10);
  batcher.enqueue(['a1', 'a2'].map(lineOf), 20);
  batcher.enqueue([{ ...lineOf('a3'), priority: 1 }], 30);
  assert.deepEqual(seen(batcher.complete(0, 2000)), ['delay a3 a1 a2']);
});

test('while every instance is busy a batch keeps growing, also with queue policies set', () => {
  const policy = { ...OPEN_QUEUE_POLICY, maxQueueSize: 100 };
  const batcher = busy({ ...OPTIONS, preferredBatchSizes: [2], defaultQueuePolicy: policy });
  batcher.enqueue(['a1', 'a2'].map(lineOf), 10);
  batcher.enqueue(['a3'].map(lineOf), 8000);
  assert.equal(batcher.wakeAtUs, undefined, 'nothing to wake for while no instance is idle');
  assert.deepEqual(seen(batcher.complete(0, 9000)), ['preferred a1 a2 a3']);
});

test('a canceled item leaves before the next batch starts and no longer counts', () => {
  const batcher = busy(OPTIONS);
  batcher.enqueue(['a1', 'a2', 'a3', 'a4'].map(lineOf), 10);
  assert.deepEqual(seen(batcher.cancel(['a2', 'unknown'], 20)), ['canceled a2']);
  assert.deepEqual(seen(batcher.complete(0, 500)), [], 'three are not enough inside the window');
  assert.equal(batcher.wakeAtUs, 1010);
  assert.deepEqual(seen(batcher.wake(1010)), ['delay a1 a3 a4']);
});

test('what a lost instance ran goes first again, with its age', () => {
  const batcher = new Batcher<null>({ ...OPTIONS, maxQueueDelayUs: 0 });
  const [started] = batcher.enqueue(['a1', 'a2', 'a3', 'a4', 'a5'].map(lineOf), 0);
  assert(started?.type === 'start');
  assert.deepEqual(seen(batcher.setInstance(0, 'gone', 700)), []);
  assert.deepEqual(seen(batcher.requeue(started.batch.items, started.batch.enqueuedUs, 700)), []);
  assert.equal(batcher.running, 0);
  assert.equal(batcher.waiting, 5);
  const [again] = batcher.setInstance(3, 'idle', 900);
  assert(again?.type === 'start');
  assert.deepEqual(seen([again]), ['size a1 a2 a3 a4']);
  assert.deepEqual([again.batch.instance, again.batch.oldestUs, again.batch.startedUs], [3, 0, 900]);
  assert.deepEqual(seen(batcher.complete(0, 950)), [], 'the completion of a lost instance is void');
  assert.deepEqual(seen(batcher.complete(3, 990)), ['idle a5']);
});

test('draining waits for nothing but an instance', () => {
  const batcher = new Batcher<null>({ ...OPTIONS, instances: 1 });
  batcher.enqueue(['a1', 'b1'].map(lineOf), 0);
  assert.deepEqual(seen(batcher.drain(100)), ['drain a1']);
  assert.deepEqual(seen(batcher.enqueue(['b2'].map(lineOf), 200)), []);
  assert.deepEqual(seen(batcher.complete(0, 300)), ['drain b1 b2']);
  assert.deepEqual(seen(batcher.complete(0, 400)), []);
  assert.equal(batcher.waiting, 0);
});

test('every batch says why it went', () => {
  const preferred = { ...OPTIONS, preferredBatchSizes: [2, 4], instances: 4 };
  const batcher = new Batcher<null>(preferred);
  assert.deepEqual(seen(batcher.enqueue(['a1', 'a2'].map(lineOf), 0)), ['preferred a1 a2']);
  assert.deepEqual(seen(batcher.enqueue(['b1', 'b2', 'b3', 'b4'].map(lineOf), 0)), ['size b1 b2 b3 b4']);
  batcher.enqueue(['c1'].map(lineOf), 0);
  assert.deepEqual(seen(batcher.wake(1000)), ['delay c1']);
  const heavy = [
    { ...lineOf('d1'), weight: 3 },
    { ...lineOf('d2'), weight: 2 },
  ];
  assert.deepEqual(seen(batcher.enqueue(heavy, 1000)), ['size d1'], 'd2 does not fit any more');
  const eager = new Batcher<null>({ ...OPTIONS, maxQueueDelayUs: 0 });
  assert.deepEqual(seen(eager.enqueue(['a1'].map(lineOf), 0)), ['idle a1']);
});

test('a full level refuses at once and counts what waits in all buckets', () => {
  const batcher = busy({ ...OPTIONS, defaultQueuePolicy: { ...OPEN_QUEUE_POLICY, maxQueueSize: 2 } });
  assert.deepEqual(seen(batcher.enqueue(['a1', 'b1', 'c1'].map(lineOf), 10)), ['queue-full c1']);
});

test('an expired item is dropped at its deadline while every instance is busy', () => {
  const policy = { ...OPEN_QUEUE_POLICY, defaultTimeoutUs: 300, allowTimeoutOverride: true };
  const batcher = busy({ ...OPTIONS, defaultQueuePolicy: policy });
  batcher.enqueue([lineOf('a1'), { ...lineOf('a2'), timeoutUs: 100 }], 10);
  assert.equal(batcher.wakeAtUs, 110);
  assert.deepEqual(seen(batcher.wake(110)), ['timeout a2']);
  assert.equal(batcher.wakeAtUs, 310);
});

test('an expired item that may wait on goes behind the others of its level', () => {
  const policy = { ...OPEN_QUEUE_POLICY, timeoutAction: 'delay' as const, defaultTimeoutUs: 100 };
  const batcher = busy({ ...OPTIONS, maxBatchSize: 2, defaultQueuePolicy: policy });
  batcher.enqueue(['a1'].map(lineOf), 0);
  batcher.enqueue(['a2', 'a3'].map(lineOf), 150);
  assert.deepEqual(seen(batcher.complete(0, 200)), ['size a2 a3']);
  assert.deepEqual(seen(batcher.complete(0, 1200)), ['delay a1']);
});

test('an item that goes behind at its deadline may let the others reach a preferred size', () => {
  const batcher = new Batcher<null>({
    ...OPTIONS,
    maxBatchSize: 8,
    preferredBatchSizes: [4, 8],
    maxQueueDelayUs: 10_000,
    defaultQueuePolicy: {
      timeoutAction: 'delay',
      defaultTimeoutUs: 5000,
      allowTimeoutOverride: true,
      maxQueueSize: 0,
    },
  });
  const heavy = { ...lineOf('a1'), weight: 2 };
  batcher.enqueue([heavy, { ...lineOf('a2'), timeoutUs: 100 }, { ...heavy, id: 'a3' }], 0);
  assert.equal(batcher.wakeAtUs, 100);
  assert.deepEqual(seen(batcher.wake(100)), ['preferred a1 a3']);
});

test('options that cannot be meant are refused by the name of their field', () => {
  const level = new Map([[3, OPEN_QUEUE_POLICY]]);
  const cases: [string, Partial<BatcherOptions>][] = [
    ['preferredBatchSizes', { preferredBatchSizes: [5] }],
    ['preferredBatchSizes', { preferredBatchSizes: [0] }],
    ['maxBatchSize', { maxBatchSize: -1 }],
    ['maxQueueDelayUs', { maxQueueDelayUs: 0.5 }],
    ['instances', { instances: Number.NaN }],
    ['defaultPriorityLevel', { priorityLevels: 2, defaultPriorityLevel: 0 }],
    ['priorityQueuePolicies', { priorityLevels: 2, defaultPriorityLevel: 1, priorityQueuePolicies: level }],
    [
      'defaultQueuePolicy.defaultTimeoutUs',
      { defaultQueuePolicy: { ...OPEN_QUEUE_POLICY, defaultTimeoutUs: -5 } },
    ],
  ];
  for (const [field, wrong] of cases) {
    assert.throws(
      () => new Batcher({ ...OPTIONS, ...wrong }),
      (error) =>
        error instanceof BatcherOptionsError && error.field === field && error.message.includes(field),
      field,
    );
  }
});

test('calls that cannot be meant are refused and change nothing', () => {
  const batcher = new Batcher<null>(OPTIONS);
  batcher.enqueue([lineOf('a1')], 100);
  const calls = [
    () => batcher.enqueue([lineOf('a2'), lineOf('a1')], 200),
    () => batcher.enqueue([lineOf('a2'), lineOf('a2')], 200),
    () => batcher.enqueue([{ ...lineOf('a2'), weight: 5 }], 200),
    () => batcher.enqueue([{ ...lineOf('a2'), weight: 0 }], 200),
    () => batcher.enqueue([lineOf('a2')], 99),
    () => batcher.complete(0, 200),
    () => batcher.complete(7, 200),
    () => batcher.requeue([lineOf('a2')], [], 200),
    () => batcher.setInstance(-1, 'idle', 200),
  ];
  for (const call of calls) {
    assert.throws(call, BatcherUsageError);
    assert.equal(batcher.waiting, 1);
    assert.equal(batcher.wakeAtUs, 1100);
  }
});

test('under a load of one key the items of another key still get their turn', () => {
  const batcher = busy({ ...OPTIONS, maxQueueDelayUs: 0 });
  for (let n = 0; n < 8; n += 1) batcher.enqueue([lineOf(`a${n}`)], n);
  batcher.enqueue([lineOf('b1')], 9);
  const keys = [10, 20, 30].map((nowUs) => {
    batcher.enqueue(
      ['w', 'x', 'y', 'z'].map((name) => lineOf(`a${name}${nowUs}`)),
      nowUs,
    );
    const [effect] = batcher.complete(0, nowUs);
    return effect?.type === 'start' ? effect.batch.key : undefined;
  });
  assert.deepEqual(keys, ['a', 'a', 'b'], 'only the eight that came before go before');
});

/** A batcher whose only instance runs something from 0 on. */
function busy(options: BatcherOptions): Batcher<null> {
  const batcher = new Batcher<null>({ ...options, instances: 1 });
  batcher.enqueue([{ ...lineOf('z0'), weight: options.maxBatchSize }], 0);
  return batcher;
}

/** An item named by its key and a number. */
function lineOf(id: string): Item<null> {
  return { id, value: null, key: id.slice(0, 1), weight: 1 };
}

/** Effects as text: the trigger or reason, then ids. */
function seen(effects: readonly Effect<null>[]): string[] {
  return effects.map((effect) =>
    effect.type === 'drop'
      ? `${effect.why} ${effect.item.id}`
      : `${effect.batch.trigger} ${effect.batch.items.map(({ id }) => id).join(' ')}`,
  );
}
