import { Batcher, type BatcherOptions, OPEN_QUEUE_POLICY } from '@glyphmill/core/batcher';
import { playTrace } from '@glyphmill/core/simulate-clock';
import { seededUniform } from '@glyphmill/core/simulate-random';
import type { BenchContext, Measurement } from './bench-measurement.ts';

const ratePerSecond = 100_000;
const seconds = 1;
const budgetUs = 5;

const options: BatcherOptions = {
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
const timeouts = { ...OPEN_QUEUE_POLICY, defaultTimeoutUs: 1_000_000, maxQueueSize: 1_000_000 };

interface Case {
  name: string;
  options: BatcherOptions;
  keys: number;
  serviceUs: number;
}

const cases: Case[] = [
  { name: 'one key', options, keys: 1, serviceUs: 5000 },
  { name: '12 keys', options, keys: 12, serviceUs: 5000 },
  { name: '1,000 keys', options, keys: 1000, serviceUs: 100 },
  {
    name: '12 keys, timeouts',
    options: { ...options, defaultQueuePolicy: timeouts },
    keys: 12,
    serviceUs: 5000,
  },
  { name: '12 keys, overload (20,000/s served)', options, keys: 12, serviceUs: 51_200 },
  { name: "one key, Triton's order", options: { ...options, bucketing: false }, keys: 1, serviceUs: 5000 },
  { name: "12 keys, Triton's order", options: { ...options, bucketing: false }, keys: 12, serviceUs: 100 },
  {
    name: 'one key, batches of 1,024',
    options: { ...options, maxBatchSize: 1024 },
    keys: 1,
    serviceUs: 5000,
  },
];

/**
 * What the batcher itself costs for each item: 100,000 items a second of virtual time, Poisson, through enqueue, wake and
 * complete. Counts processor time (garbage collection included), not the clock: other work on the machine does not count.
 */
export async function measureBatcher({ quick, note }: BenchContext): Promise<Measurement> {
  const repeats = quick ? 2 : 3;
  const costs = cases.map((each) => {
    const arrivals = arrivalsOver(each.keys);
    const usPerItem = Math.min(...Array.from({ length: repeats }, () => costUs(each, arrivals)));
    note(`${each.name}: ${usPerItem.toFixed(2)} µs an item (best of ${repeats})`);
    return { name: each.name, items: arrivals.length, usPerItem };
  });
  const bestUs = Math.min(...costs.map(({ usPerItem }) => usPerItem));
  const worstUs = Math.max(...costs.map(({ usPerItem }) => usPerItem));
  const worst = costs.find(({ usPerItem }) => usPerItem === worstUs)?.name;
  return {
    figures: { ratePerSecond, repeats, bestUs, worstUs, cases: costs },
    rows: [
      {
        what: `micro-batcher at ${ratePerSecond.toLocaleString('en')} items/s, ${cases.length} cases`,
        figure: `${bestUs.toFixed(2)} to ${worstUs.toFixed(2)} µs of CPU an item (most: ${worst})`,
        target: { text: `≤ ${budgetUs} µs`, met: worstUs <= budgetUs },
      },
    ],
  };
}

type Arrivals = ReturnType<typeof arrivalsOver>;

/** Of one item. Throws where not every item was served: then it was not the work that is meant. */
function costUs({ name, options, serviceUs }: Case, arrivals: Arrivals): number {
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
  if (served === 0) throw new Error(`${name}: expected items to be served, none was`);
  return (user + system) / arrivals.length;
}

function arrivalsOver(keys: number) {
  const uniform = seededUniform(1);
  let atUs = 0;
  return Array.from({ length: ratePerSecond * seconds }, (_, n) => {
    atUs -= (Math.log(1 - uniform()) * 1e6) / ratePerSecond;
    const key = `key ${Math.floor(uniform() * keys)}`;
    return { atUs: Math.floor(atUs), item: { id: String(n), value: null, key, weight: 1 } };
  });
}
