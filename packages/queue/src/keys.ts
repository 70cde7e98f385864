/** Where everything of one installation lives in Redis. */
export interface QueueAddress {
  /** `redis://`, `rediss://` or `unix://`. */
  url: string;
  /** Part of the hash tag, so that all keys of one installation share a slot. */
  shard: string;
}

/** BullMQ's queues, under `prefix`. */
export const documentsQueue = 'documents';
export const deliveriesQueue = 'deliveries';

export type Keys = ReturnType<typeof keysOf>;

/** The names of all our keys. All carry one hash tag: the scripts touch several at once. */
export function keysOf(shard: string) {
  const prefix = `{glyphmill:${shard}}`;
  return {
    prefix,
    record: (jobId: string) => `${prefix}:job:${jobId}`,
    result: (jobId: string) => `${prefix}:result:${jobId}`,
    ended: (jobId: string) => `${prefix}:ended:${jobId}`,
    tenantJobsPrefix: `${prefix}:tenant-jobs:`,
    tenantJobs: (tenant: string) => `${prefix}:tenant-jobs:${tenant}`,
    expiry: `${prefix}:expiry`,
    outbox: `${prefix}:outbox`,
    models: `${prefix}:models`,
    /** BullMQ's own keys whose lengths make up what waits. */
    waiting: ['wait', 'paused', 'prioritized', 'delayed'].map(
      (name) => `${prefix}:${documentsQueue}:${name}`,
    ),
  };
}
