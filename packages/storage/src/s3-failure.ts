import { type FailureCode, JobFailure } from '@glyphmill/contract/failure';

interface Rule {
  code: FailureCode;
  retryable: boolean;
  message: string;
}

/** What the store's error names mean to a job. Names by the S3 API reference, "Error responses". */
const rules: Record<string, Rule> = {
  NoSuchKey: { code: 'source-not-found', retryable: false, message: 'There is no such object' },
  NotFound: { code: 'source-not-found', retryable: false, message: 'There is no such object' },
  NoSuchVersion: {
    code: 'source-not-found',
    retryable: false,
    message: 'There is no such version of the object',
  },
  NoSuchBucket: { code: 'source-bucket-not-found', retryable: false, message: 'There is no such bucket' },
  InvalidBucketName: {
    code: 'source-bucket-not-found',
    retryable: false,
    message: 'There is no such bucket',
  },
  AccessDenied: {
    code: 'source-access-denied',
    retryable: false,
    message: 'The store refused access; allow the worker’s credentials to read it',
  },
  InvalidObjectState: {
    code: 'source-access-denied',
    retryable: false,
    message: 'The object is archived; restore it first',
  },
  PreconditionFailed: {
    code: 'source-changed',
    retryable: false,
    message: 'The object no longer has the ETag given as ifMatch',
  },
};

const unavailable: Rule = {
  code: 'source-unavailable',
  retryable: true,
  message: 'The store could not give the object',
};

/** Turns whatever reading an object threw into the failure it means for the job. */
export function toFetchFailure(
  error: unknown,
  { bucket, key, signal }: { bucket: string; key: string; signal: AbortSignal },
): JobFailure {
  if (error instanceof JobFailure) return error;
  const place = `bucket "${bucket}", key "${key}"`;
  if (signal.aborted || nameOf(error) === 'TimeoutError') {
    const message = `The object did not arrive in time (${place}).`;
    return new JobFailure(
      { code: 'source-timeout', message, retryable: true, phase: 'fetch' },
      { cause: error },
    );
  }
  const { code, retryable, message } = rules[nameOf(error)] ?? unavailable;
  return new JobFailure(
    { code, message: `${message} (${place}).`, retryable, phase: 'fetch' },
    { cause: error },
  );
}

/** Turns whatever writing an object threw into a transient failure: the text is read, only not yet kept. */
export function toStoreFailure(error: unknown, { bucket, key }: { bucket: string; key: string }): JobFailure {
  const message = `The store did not take the object (bucket "${bucket}", key "${key}"): ${nameOf(error)}.`;
  return new JobFailure(
    { code: 'destination-failed', message, retryable: true, phase: 'store' },
    { cause: error },
  );
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown error';
}
