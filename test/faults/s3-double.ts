import type { Fault, InterceptedRequest } from '@glyphmill/embedded/s3-faults';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { type ObjectStore, openObjectStore } from '@glyphmill/storage/object-store';

export interface Rule {
  operation: 'GetObject' | 'PutObject' | 'DeleteObject';
  /** Objects whose key begins with this. */
  prefix: string;
  fault: Fault;
  /** How many requests it meets; without it, all that come. */
  times?: number;
}

/** The embedded S3 store, and what it does wrong. */
export interface S3Double {
  endpoint: string;
  objects: ObjectStore;
  /** Adds a rule; the first that fits a request decides. The function returned takes it away. */
  fail(rule: Rule): () => void;
  /** Requests so far of this operation on keys that begin with the prefix. */
  count(operation: Rule['operation'], prefix: string): number;
  close(): Promise<void>;
}

export const documentsBucket = 'documents';
export const systemBucket = 'glyphmill';
/** Far more requests than any run makes; the oldest are forgotten. */
const maxRemembered = 200_000;

export async function startS3Double(options: {
  dir: string;
  accessKeyId: string;
  secretAccessKey: string;
}): Promise<S3Double> {
  const rules: { rule: Rule; left: number }[] = [];
  const requests: InterceptedRequest[] = [];
  const intercept = (request: InterceptedRequest): Fault | undefined => {
    requests.push(request);
    if (requests.length > maxRemembered) requests.shift();
    const met = rules.find(({ rule, left }) => left > 0 && fits(rule, request));
    if (met === undefined) return undefined;
    met.left -= 1;
    return met.rule.fault;
  };
  const server = await startS3({ ...options, buckets: [documentsBucket, systemBucket], intercept });
  const { accessKeyId, secretAccessKey } = options;
  const objects = openObjectStore({
    endpoint: server.endpoint,
    region: 'us-east-1',
    accessKeyId,
    secretAccessKey,
    forcePathStyle: true,
  });
  return {
    endpoint: server.endpoint,
    objects,
    fail(rule) {
      const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
      rules.push(entry);
      return () => {
        entry.left = 0;
      };
    },
    count: (operation, prefix) =>
      requests.filter((request) => request.operation === operation && request.key.startsWith(prefix)).length,
    async close() {
      objects.close();
      await server.close();
    },
  };
}

function fits({ operation, prefix }: Rule, request: InterceptedRequest): boolean {
  return request.operation === operation && request.key.startsWith(prefix);
}
