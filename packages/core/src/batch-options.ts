// What a batcher is told, and what must hold for it to make sense. Names and meaning follow the
// dynamic_batching block of NVIDIA Triton's config.pbtxt.

/** What happens to items that wait too long or arrive at a full queue. Times in µs; 0 means none. */
export interface QueuePolicy {
  /** 'reject' drops an expired item; 'delay' puts it behind all unexpired ones of its level. */
  timeoutAction: 'reject' | 'delay';
  defaultTimeoutUs: number;
  /** Lets an item shorten (never lengthen, never introduce) the default timeout. */
  allowTimeoutOverride: boolean;
  /** Most items waiting in a level. */
  maxQueueSize: number;
}

export interface BatcherOptions {
  /** Most weight in one batch; 0 counts as 1, as in Triton. */
  maxBatchSize: number;
  /** Sizes that go at once; empty means [maxBatchSize]. */
  preferredBatchSizes: readonly number[];
  /** How long an item may wait for company while an instance is idle; 0 means not at all. */
  maxQueueDelayUs: number;
  /** 0: no levels. Otherwise level 1 is served first. */
  priorityLevels: number;
  /** Level of items that name none or one out of range. */
  defaultPriorityLevel: number;
  defaultQueuePolicy: QueuePolicy;
  priorityQueuePolicies: ReadonlyMap<number, QueuePolicy>;
  /** Instances idle at the start: slots 0 to instances - 1. */
  instances: number;
  /**
   * true: each batch key waits in its own bucket and items are bound to a batch only when an instance
   * takes it. false: Triton's canonical order, in which another key flushes the batch being formed and
   * batches are formed ahead of idle instances.
   */
  bucketing: boolean;
}

/** An option is out of its range: names the field, what was expected and how to mend it. */
export class BatcherOptionsError extends Error {
  readonly field: string;
  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.name = 'BatcherOptionsError';
    this.field = field;
  }
}

/** The option values in the form the decision rule reads them. */
export interface BatchRule {
  maxSize: number;
  preferred: ReadonlySet<number>;
  smallestPreferred: number;
  largestPreferred: number;
  delayUs: number;
}

/** No timeout, no bound: what Triton assumes where a config names no policy. */
export const OPEN_QUEUE_POLICY: QueuePolicy = {
  timeoutAction: 'reject',
  defaultTimeoutUs: 0,
  allowTimeoutOverride: false,
  maxQueueSize: 0,
};

/** Throws BatcherOptionsError at the first option that cannot be meant. */
export function checkBatcherOptions(options: BatcherOptions): void {
  const { maxBatchSize, priorityLevels, defaultPriorityLevel } = options;
  whole('maxBatchSize', maxBatchSize);
  whole('maxQueueDelayUs', options.maxQueueDelayUs);
  whole('priorityLevels', priorityLevels);
  whole('instances', options.instances);
  for (const size of options.preferredBatchSizes) {
    whole('preferredBatchSizes', size);
    if (size < 1 || size > Math.max(1, maxBatchSize)) {
      throw new BatcherOptionsError(
        'preferredBatchSizes',
        `${size} is not between 1 and maxBatchSize (${maxBatchSize}); remove it or raise maxBatchSize`,
      );
    }
  }
  if (priorityLevels > 0) level('defaultPriorityLevel', defaultPriorityLevel, priorityLevels);
  checkPolicy('defaultQueuePolicy', options.defaultQueuePolicy);
  for (const [key, policy] of options.priorityQueuePolicies) {
    level('priorityQueuePolicies', key, priorityLevels);
    checkPolicy(`priorityQueuePolicies[${key}]`, policy);
  }
}

/** The rule's view of checked options. */
export function batchRule(options: BatcherOptions): BatchRule {
  const sizes = options.preferredBatchSizes.length > 0 ? options.preferredBatchSizes : [options.maxBatchSize];
  return {
    maxSize: Math.max(1, options.maxBatchSize),
    preferred: new Set(sizes),
    smallestPreferred: Math.min(...sizes),
    largestPreferred: Math.max(...sizes),
    delayUs: options.maxQueueDelayUs,
  };
}

/** Triton forms batches ahead of idle instances only where no policy could still take an item back. */
export function formsAhead(options: BatcherOptions): boolean {
  const policy = options.defaultQueuePolicy;
  return (
    options.priorityLevels === 0 &&
    policy.defaultTimeoutUs === 0 &&
    !policy.allowTimeoutOverride &&
    policy.maxQueueSize === 0
  );
}

function checkPolicy(field: string, policy: QueuePolicy): void {
  whole(`${field}.defaultTimeoutUs`, policy.defaultTimeoutUs);
  whole(`${field}.maxQueueSize`, policy.maxQueueSize);
}

function whole(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new BatcherOptionsError(field, `expected a whole number of at least 0, got ${value}; correct it`);
}

function level(field: string, value: number, levels: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= levels) return;
  throw new BatcherOptionsError(
    field,
    `level ${value} is not between 1 and priorityLevels (${levels}); name an existing level or raise priorityLevels`,
  );
}
