import { S3ServiceException } from '@aws-sdk/client-s3';
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

/** Any other answer that blames the request: the same one would be refused again. */
const refused: Rule = {
  code: 'source-access-denied',
  retryable: false,
  message: 'The store refused the request; check its address, region and credentials',
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
  const { code, retryable, message } = rules[nameOf(error)] ?? (isRefusal(error) ? refused : unavailable);
  return new JobFailure(
    { code, message: `${message} (${place}; ${nameOf(error)}).`, retryable, phase: 'fetch' },
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

/** HTTP 4xx, but for those that ask to come again later; expired credentials are renewed by then. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof S3ServiceException) || error.name === 'ExpiredToken') return false;
  const status = error.$metadata.httpStatusCode ?? 0;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** What an answer without a body, to a HEAD, would have said in it. */
const namesByStatus: Record<number, string> = { 403: 'AccessDenied', 412: 'PreconditionFailed' };

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  return (error.name === 'Unknown' && namesByStatus[status ?? 0]) || error.name;
}
