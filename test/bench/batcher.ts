// What the batcher itself costs for each item: node --import tsx test/bench/batcher.ts
// 100,000 items a second of virtual time, Poisson, through enqueue, wake and complete. Counts processor
// time (garbage collection included), not the clock: other work on the machine does not count.

import { Batcher, type BatcherOptions, OPEN_QUEUE_POLICY } from '@glyphmill/core/batcher';
import { playTrace } from '@glyphmill/core/simulate-clock';
import { seededUniform } from '@glyphmill/core/simulate-random';

const RATE_PER_SECOND = 100_000;
const SECONDS = 1;
const BUDGET_US = 5;

const OPTIONS: BatcherOptions = {
  maxBatchSize: 64,
  preferredBatchSizes: [],
  maxQueueDelayUs: 2000,
  priorityLevels: 0,
  defaultPriorityLevel: 0,
  defaultQueuePolicy: OPEN_QUEUE_POLICY,
  priorityQueuePolicies: new Map(),
  instances: 16,
  bucketing: true,
};
const TIMEOUTS = { ...OPEN_QUEUE_POLICY, defaultTimeoutUs: 1_000_000, maxQueueSize: 1_000_000 };

const cases: { name: string; options: BatcherOptions; keys: number; serviceUs: number }[] = [
  { name: 'one key', options: OPTIONS, keys: 1, serviceUs: 5000 },
  { name: '12 keys', options: OPTIONS, keys: 12, serviceUs: 5000 },
  { name: '1,000 keys', options: OPTIONS, keys: 1000, serviceUs: 100 },
  {
    name: '12 keys, timeouts',
    options: { ...OPTIONS, defaultQueuePolicy: TIMEOUTS },
    keys: 12,
    serviceUs: 5000,
  },
  { name: '12 keys, overload (20,000/s served)', options: OPTIONS, keys: 12, serviceUs: 51_200 },
  { name: "one key, Triton's order", options: { ...OPTIONS, bucketing: false }, keys: 1, serviceUs: 5000 },
  { name: "12 keys, Triton's order", options: { ...OPTIONS, bucketing: false }, keys: 12, serviceUs: 100 },
  {
    name: 'one key, batches of 1,024',
    options: { ...OPTIONS, maxBatchSize: 1024 },
    keys: 1,
    serviceUs: 5000,
  },
];

let worstUs = 0;
for (const { name, options, keys, serviceUs } of cases) {
  const arrivals = arrivalsOver(keys);
  const costsUs = [1, 2, 3].map(() => {
    let served = 0;
    const before = process.cpuUsage();
    playTrace<null>({
      batcher: new Batcher(options),
      arrivals,
      cancels: [],
      serviceUs: () => serviceUs,
      onStart: ({ items }) => {
        served += items.length;
      },
      onDrop: () => {},
    });
    const { user, system } = process.cpuUsage(before);
    const costUs = (user + system) / arrivals.length;
    return served > 0 ? costUs : Infinity;
  });
  const bestUs = Math.min(...costsUs);
  worstUs = Math.max(worstUs, bestUs);
  console.log(`${name.padEnd(38)} ${bestUs.toFixed(2)} µs an item (best of 3, ${arrivals.length} items)`);
}
if (worstUs > BUDGET_US) {
  console.error(`The worst case costs ${worstUs.toFixed(2)} µs an item; at most ${BUDGET_US} are allowed.`);
  process.exitCode = 1;
}

function arrivalsOver(keys: number) {
  const uniform = seededUniform(1);
  let atUs = 0;
  return Array.from({ length: RATE_PER_SECOND * SECONDS }, (_, n) => {
    atUs -= (Math.log(1 - uniform()) * 1e6) / RATE_PER_SECOND;
    const key = `key ${Math.floor(uniform() * keys)}`;
    return { atUs: Math.floor(atUs), item: { id: String(n), value: null, key, weight: 1 } };
  });
}
