import type { KeptResult } from './attempt.ts';
import { connectProducer, type OnConnectionError } from './connection.ts';
import { keysOf, type QueueAddress } from './keys.ts';

/** A job whose result may be given again. */
export interface CacheEntry {
  jobId: string;
  /** Of the object that it read. */
  version: string;
}

/**
 * Finds the results of earlier jobs. Entries are made by the commit of the job whose result they point to, live no
 * longer than that result, and go with the job when it is deleted. The tenant is part of each entry's name: what one
 * tenant had read tells another nothing, not even by being quick, and what one deletes no other keeps alive.
 */
export interface CachedResults {
  find(tenant: string, digest: string): Promise<CacheEntry | undefined>;
  /** Undefined when the job is gone. */
  result(tenant: string, jobId: string): Promise<KeptResult | undefined>;
  close(): void;
}

/** On a connection of its own that fails fast: a job must not wait for a cache. */
export function openCachedResults(address: QueueAddress, onError: OnConnectionError): CachedResults {
  const keys = keysOf(address.shard);
  const redis = connectProducer(address.url, onError);
  return {
    async find(tenant, digest) {
      const [jobId, version] = await redis.hmget(keys.cache(tenant, digest), 'job', 'version');
      return jobId && version ? { jobId, version } : undefined;
    },
    async result(tenant, jobId) {
      const [owner, bucket, key] = await redis.hmget(
        keys.record(jobId),
        'tenant',
        'resultBucket',
        'resultKey',
      );
      if (owner !== tenant) return undefined;
      if (bucket && key) return { kind: 'object', bucket, key };
      const json = await redis.get(keys.result(jobId));
      return json === null ? undefined : { kind: 'inline', json };
    },
    close: () => redis.disconnect(),
  };
}
