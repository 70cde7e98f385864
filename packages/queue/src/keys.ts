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

/** The names of all our keys. All carry one hash tag: the scripts touch several at once, and make most names themselves. */
export function keysOf(shard: string) {
  const prefix = `{glyphmill:${shard}}`;
  return {
    prefix,
    record: (jobId: string) => `${prefix}:job:${jobId}`,
    result: (jobId: string) => `${prefix}:result:${jobId}`,
    /** Pages of a job that can be read before its end, two bits each: kept-pages.ts. */
    pages: (jobId: string) => `${prefix}:pages:${jobId}`,
    /** Channel on which each change of a job's state or progress is told, as the new state. */
    changed: (jobId: string) => `${prefix}:changed:${jobId}`,
    /** Channel on which workers hear which jobs to leave, by id. */
    cancel: `${prefix}:cancel`,
    tenantJobs: (tenant: string) => `${prefix}:tenant-jobs:${tenant}`,
    /** The job whose result later jobs of the tenant may be given, and the version of the object it read. */
    cache: (tenant: string, digest: string) => `${prefix}:cache:${tenant}:${digest}`,
    /** What a tenant's open jobs count for: jobs, pages, megapixels. */
    usage: (tenant: string) => `${prefix}:usage:${tenant}`,
    idempotency: (tenant: string, digest: string) => `${prefix}:idempotency:${tenant}:${digest}`,
    /** Records by the time they expire, so that the lists that name them can be swept. */
    expiry: `${prefix}:expiry`,
    /** Open jobs by their deadline. */
    deadlines: `${prefix}:deadlines`,
    /** Failed jobs, `tenant\njob`, by the time they failed. */
    deadLetters: `${prefix}:dead-letters`,
    /** Jobs that wait their tenant's turn before they go into BullMQ's queue. */
    backlogSize: `${prefix}:backlog-size`,
    /** Jobs on the way into BullMQ's queue, by their names there, by the time after which somebody else may put them there. */
    feeding: `${prefix}:feeding`,
    /** Jobs that ended in this slot of ten seconds, by tenant; '' is all of them. */
    ended: (slot: number) => `${prefix}:ended:${slot}`,
    /** Micro-batches that were run in this slot of ten seconds, by model, version and what is counted. */
    microBatches: (slot: number) => `${prefix}:micro-batches:${slot}`,
    batch: (batchId: string) => `${prefix}:batch:${batchId}`,
    /** Items of a batch whose jobs have not all been made. */
    batchItems: (batchId: string) => `${prefix}:batch-items:${batchId}`,
    batchRejected: (batchId: string) => `${prefix}:batch-rejected:${batchId}`,
    tenantBatches: (tenant: string) => `${prefix}:tenant-batches:${tenant}`,
    /** Batches on which there is work, by the time after which any process may take it. */
    batchWork: `${prefix}:batch-work`,
    /** Jobs of a batch that ended in this slot of ten seconds. */
    batchEnded: (batchId: string, slot: number) => `${prefix}:batch-ended:${batchId}:${slot}`,
    /** What all open jobs come to: jobs, those whose pages are known, pages left of these. */
    load: `${prefix}:load`,
    /** Of each worker when it last said so, and how many pages a second it reads. */
    rates: `${prefix}:rates`,
    outbox: `${prefix}:outbox`,
    endpoint: (endpointId: string) => `${prefix}:endpoint:${endpointId}`,
    /** Ids by time of creation; gone with the last endpoint. */
    tenantEndpoints: (tenant: string) => `${prefix}:tenant-endpoints:${tenant}`,
    /** Ids of the deliveries to an endpoint by their last attempt. */
    endpointLog: (endpointId: string) => `${prefix}:endpoint-log:${endpointId}`,
    delivery: (deliveryId: string) => `${prefix}:delivery:${deliveryId}`,
    deliveryAttempts: (deliveryId: string) => `${prefix}:delivery:${deliveryId}:attempts`,
    models: `${prefix}:models`,
  };
}
