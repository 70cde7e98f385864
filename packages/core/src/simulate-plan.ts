import { Batcher, type BatcherOptions, type Item, type Trigger } from './batcher.ts';
import { playTrace } from './simulate-clock.ts';
import { seededUniform } from './simulate-random.ts';

/** A load to plan for: items arriving at random (Poisson) at a mean rate, served in t0 + size * t1 µs. */
export interface PlanInput {
  options: BatcherOptions;
  ratePerSecond: number;
  serviceTimeUs: { t0: number; t1: number };
  /** Overrides options.instances. */
  instances: number;
  seconds: number;
  seed: number;
  /** Batch keys the items are spread over evenly; 1 where omitted. */
  keys?: number;
}

/** What comes of it. Latency is from enqueueing to the end of the item's batch, queue delay to its start. */
export interface CapacityPlan {
  maxBatchSize: number;
  maxQueueDelayUs: number;
  instances: number;
  items: number;
  dropped: number;
  batches: number;
  offeredPerSecond: number;
  /** Items completed within the planned seconds, per second. */
  throughputPerSecond: number;
  /** What these instances could do with full batches only. */
  capacityPerSecond: number;
  latencyP50Us: number;
  latencyP99Us: number;
  queueDelayP50Us: number;
  queueDelayP99Us: number;
  /** Mean of batch size / maxBatchSize, 0 to 1. */
  meanFill: number;
  /** Share of the instances' time spent running batches, 0 to 1. */
  busyShare: number;
  triggers: Record<Trigger, number>;
}

/** Bounds the memory and time of one plan. */
const MAX_PLANNED_ITEMS = 2_000_000;

/** Throws RangeError for a load that is no load or too large, BatcherOptionsError for bad options. */
export function planCapacity(input: PlanInput): CapacityPlan {
  checkPlan(input);
  const { seconds, serviceTimeUs, instances } = input;
  const options = { ...input.options, instances };
  const maxSize = Math.max(1, options.maxBatchSize);
  const arrivals = poissonArrivals(input);
  const endUs = seconds * 1e6;
  const latencies: number[] = [];
  const queueDelays: number[] = [];
  const triggers: Record<Trigger, number> = { size: 0, preferred: 0, delay: 0, idle: 0, drain: 0 };
  let [batches, sizes, busyUs, dropped, inTime, lastDoneUs] = [0, 0, 0, 0, 0, 0];
  playTrace<null>({
    batcher: new Batcher(options),
    arrivals,
    cancels: [],
    serviceUs: ({ size }) => Math.round(serviceTimeUs.t0 + size * serviceTimeUs.t1),
    onStart: ({ enqueuedUs, startedUs, size, trigger }, doneUs) => {
      batches += 1;
      sizes += size;
      busyUs += doneUs - startedUs;
      lastDoneUs = Math.max(lastDoneUs, doneUs);
      triggers[trigger] += 1;
      if (doneUs <= endUs) inTime += enqueuedUs.length;
      for (const atUs of enqueuedUs) {
        latencies.push(doneUs - atUs);
        queueDelays.push(startedUs - atUs);
      }
    },
    onDrop: () => {
      dropped += 1;
    },
  });
  const latency = Float64Array.from(latencies).sort();
  const queueDelay = Float64Array.from(queueDelays).sort();
  return {
    maxBatchSize: maxSize,
    maxQueueDelayUs: options.maxQueueDelayUs,
    instances,
    items: arrivals.length,
    dropped,
    batches,
    offeredPerSecond: input.ratePerSecond,
    throughputPerSecond: inTime / seconds,
    capacityPerSecond: (instances * maxSize * 1e6) / (serviceTimeUs.t0 + maxSize * serviceTimeUs.t1),
    latencyP50Us: quantile(latency, 0.5),
    latencyP99Us: quantile(latency, 0.99),
    queueDelayP50Us: quantile(queueDelay, 0.5),
    queueDelayP99Us: quantile(queueDelay, 0.99),
    meanFill: batches === 0 ? 0 : sizes / batches / maxSize,
    busyShare: busyUs / (instances * Math.max(endUs, lastDoneUs)),
    triggers,
  };
}

/** A plan for each combination; preferred sizes above a maximum are left out for it. */
export function planGrid(
  input: PlanInput,
  grid: { maxBatchSizes: readonly number[]; maxQueueDelaysUs: readonly number[] },
): CapacityPlan[] {
  return grid.maxBatchSizes.flatMap((maxBatchSize) =>
    grid.maxQueueDelaysUs.map((maxQueueDelayUs) => {
      const preferredBatchSizes = input.options.preferredBatchSizes.filter((size) => size <= maxBatchSize);
      const options = { ...input.options, maxBatchSize, maxQueueDelayUs, preferredBatchSizes };
      return planCapacity({ ...input, options });
    }),
  );
}

function poissonArrivals(input: PlanInput): { atUs: number; item: Item<null> }[] {
  const uniform = seededUniform(input.seed);
  const arrivals: { atUs: number; item: Item<null> }[] = [];
  const { keys = 1 } = input;
  const endUs = input.seconds * 1e6;
  const meanGapUs = 1e6 / input.ratePerSecond;
  for (let atUs = 0; ; ) {
    atUs -= Math.log(1 - uniform()) * meanGapUs;
    if (atUs >= endUs) return arrivals;
    const key = keys === 1 ? 'any' : `key ${Math.floor(uniform() * keys)}`;
    arrivals.push({
      atUs: Math.floor(atUs),
      item: { id: String(arrivals.length), value: null, key, weight: 1 },
    });
  }
}

function checkPlan({ ratePerSecond, seconds, serviceTimeUs, instances, keys = 1 }: PlanInput): void {
  const bounds = { ratePerSecond, seconds, instances, keys };
  for (const [name, value] of Object.entries(bounds)) {
    if (!(value > 0 && value < Infinity))
      throw new RangeError(`${name}: expected a number above 0, got ${value}`);
  }
  const { t0, t1 } = serviceTimeUs;
  if (!(t0 >= 0 && t1 >= 0 && t0 + t1 > 0 && t0 + t1 < Infinity)) {
    throw new RangeError(`serviceTimeUs: expected t0 and t1 of at least 0, not both 0, got ${t0},${t1}`);
  }
  if (ratePerSecond * seconds > MAX_PLANNED_ITEMS) {
    throw new RangeError(
      `${ratePerSecond} items/s for ${seconds} s are more than ${MAX_PLANNED_ITEMS} items; plan fewer seconds`,
    );
  }
}

/** Nearest rank; 0 for an empty list. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
