// Seeded random traces that provoke coincidences: coarse times, small sizes, every policy.

import type { QueuePolicy } from '@glyphmill/core/batcher';
import { seededUniform } from '@glyphmill/core/simulate-random';
import type { Trace, TraceArrival } from '@glyphmill/core/simulate-trace';

export type Random = (below: number) => number;

/** Whole numbers from 0 to below - 1. */
export function randomBelow(seed: number): Random {
  const uniform = seededUniform(seed);
  return (below) => Math.floor(uniform() * below);
}

/** `stepUs` is what all times are multiples of; drawn as well where omitted. */
export function randomTrace(seed: number, stepUs?: number): Trace {
  const random = randomBelow(seed);
  const maxBatchSize = pick(random, [0, 1, 2, 3, 4, 6, 8, 8, 12]);
  const priorityLevels = pick(random, [0, 0, 0, 2, 3]);
  const policies = random(3) > 0;
  const drawn = pick(random, [1, 10, 50]);
  const step = stepUs ?? drawn;
  const defaultQueuePolicy = policies ? randomPolicy(random, step) : NO_POLICY;
  const priorityQueuePolicies = new Map<number, QueuePolicy>();
  for (let level = 1; level <= priorityLevels; level += 1) {
    if (policies && random(2) === 0) priorityQueuePolicies.set(level, randomPolicy(random, step));
  }
  const enforceEqualShape = random(2) === 0;
  const arrivals = randomArrivals(random, { step, heaviest: Math.max(1, maxBatchSize) });
  return {
    name: `seed ${seed}`,
    note: '',
    options: {
      maxBatchSize,
      preferredBatchSizes: sizes(random, maxBatchSize),
      maxQueueDelayUs: pick(random, [0, 0, 1, 5, 10, 30]) * step,
      priorityLevels,
      defaultPriorityLevel: priorityLevels === 0 ? 0 : 1 + random(priorityLevels),
      defaultQueuePolicy,
      priorityQueuePolicies,
      instances: 1 + random(3),
      bucketing: false,
    },
    svc: [random(40) * step, random(3) * step],
    enforceEqualShape,
    arrivals,
    cancels: random(3) > 0 ? [] : randomCancels(random, arrivals, step),
  };
}

const NO_POLICY: QueuePolicy = {
  timeoutAction: 'reject',
  defaultTimeoutUs: 0,
  allowTimeoutOverride: false,
  maxQueueSize: 0,
};

function randomPolicy(random: Random, step: number): QueuePolicy {
  return {
    timeoutAction: random(2) === 0 ? 'reject' : 'delay',
    defaultTimeoutUs: pick(random, [0, 1 + random(10), 10 + random(60)]) * step,
    allowTimeoutOverride: random(2) === 0,
    maxQueueSize: pick(random, [0, 0, 1, 3, 8]),
  };
}

function randomArrivals(
  random: Random,
  { step, heaviest }: { step: number; heaviest: number },
): TraceArrival[] {
  const arrivals: TraceArrival[] = [];
  const heavy = random(2) === 0;
  const shapes = 1 + random(3);
  const gap = 1 + random(12);
  let t = 0;
  for (let id = 1, count = 1 + random(30); id <= count; id += 1) {
    if (random(3) > 0) t += random(gap) * step;
    arrivals.push({
      id,
      t,
      batch: heavy ? 1 + random(Math.min(heaviest, random(4) === 0 ? heaviest : 3)) : 1,
      priority: random(5),
      timeoutUs: random(3) === 0 ? random(20) * step : 0,
      shape: random(shapes),
    });
  }
  return arrivals;
}

function randomCancels(random: Random, arrivals: TraceArrival[], step: number): Trace['cancels'] {
  return arrivals.filter(() => random(5) === 0).map(({ id, t }) => ({ id, t: t + random(20) * step }));
}

function sizes(random: Random, maxBatchSize: number): number[] {
  if (maxBatchSize < 1 || random(3) === 0) return [];
  return [...new Set(Array.from({ length: 1 + random(3) }, () => 1 + random(maxBatchSize)))];
}

function pick<E>(random: Random, choices: readonly E[]): E {
  const chosen = choices[random(choices.length)];
  if (chosen === undefined) throw new RangeError('nothing to pick from');
  return chosen;
}
