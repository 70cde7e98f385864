import { type ProblemContext, ProblemError } from './errors.ts';
import type { Problem } from './types.ts';

// One class for each code that the API may answer with; a test holds them against its list.

/** The request is malformed. */
export class InvalidRequestError extends ProblemError {
  override readonly name = 'InvalidRequestError';
}

/** The body is not valid JSON. */
export class InvalidJsonError extends ProblemError {
  override readonly name = 'InvalidJsonError';
}

/** The Idempotency-Key cannot be used. */
export class InvalidIdempotencyKeyError extends ProblemError {
  override readonly name = 'InvalidIdempotencyKeyError';
}

/** The body has a field this call does not know. */
export class UnknownFieldError extends ProblemError {
  override readonly name = 'UnknownFieldError';
}

/** A valid API key is needed. */
export class UnauthenticatedError extends ProblemError {
  override readonly name = 'UnauthenticatedError';
}

/** This API key may not do that. */
export class InsufficientScopeError extends ProblemError {
  override readonly name = 'InsufficientScopeError';
}

/** This API key may not read that object. */
export class SourceNotAllowedError extends ProblemError {
  override readonly name = 'SourceNotAllowedError';
}

/** That webhook address is not allowed. */
export class AddressNotAllowedError extends ProblemError {
  override readonly name = 'AddressNotAllowedError';
}

/** There is nothing at this address. */
export class NotFoundError extends ProblemError {
  override readonly name = 'NotFoundError';
}

/** The result cannot be given in that format. */
export class FormatNotAvailableError extends ProblemError {
  override readonly name = 'FormatNotAvailableError';
}

/** The job has not ended yet. */
export class JobNotFinishedError extends ProblemError {
  override readonly name = 'JobNotFinishedError';
}

/** The job was canceled and has no result. */
export class JobCanceledError extends ProblemError {
  override readonly name = 'JobCanceledError';
}

/** The state it is in does not allow that. */
export class InvalidStateError extends ProblemError {
  override readonly name = 'InvalidStateError';
}

/** A request with this Idempotency-Key is still running. */
export class IdempotencyInProgressError extends ProblemError {
  override readonly name = 'IdempotencyInProgressError';
}

/** The page could not be read. */
export class PageFailedError extends ProblemError {
  override readonly name = 'PageFailedError';
}

/** The job failed and has no result. */
export class JobFailedError extends ProblemError {
  override readonly name = 'JobFailedError';
}

/** There are as many webhook endpoints as may be. */
export class EndpointLimitReachedError extends ProblemError {
  override readonly name = 'EndpointLimitReachedError';
}

/** The result has expired. */
export class ResultExpiredError extends ProblemError {
  override readonly name = 'ResultExpiredError';
}

/** The body is too large. */
export class PayloadTooLargeError extends ProblemError {
  override readonly name = 'PayloadTooLargeError';
}

/** This media type is not accepted here. */
export class UnsupportedMediaTypeError extends ProblemError {
  override readonly name = 'UnsupportedMediaTypeError';
}

/** The request is not valid. */
export class ValidationFailedError extends ProblemError {
  override readonly name = 'ValidationFailedError';
}

/** The Idempotency-Key was used for another request. */
export class IdempotencyKeyReusedError extends ProblemError {
  override readonly name = 'IdempotencyKeyReusedError';
}

/** No worker serves that model. */
export class UnknownModelError extends ProblemError {
  override readonly name = 'UnknownModelError';
}

/** The tenant’s quota is used up. */
export class QuotaExceededError extends ProblemError {
  override readonly name = 'QuotaExceededError';
}

/** The queue is full. */
export class QueueFullError extends ProblemError {
  override readonly name = 'QueueFullError';
}

/** Too many event streams are open. */
export class TooManyStreamsError extends ProblemError {
  override readonly name = 'TooManyStreamsError';
}

/** The queue cannot be reached. */
export class QueueUnavailableError extends ProblemError {
  override readonly name = 'QueueUnavailableError';
}

/** The object store cannot be reached. */
export class StorageUnavailableError extends ProblemError {
  override readonly name = 'StorageUnavailableError';
}

/** The request took too long to arrive. */
export class RequestTimeoutError extends ProblemError {
  override readonly name = 'RequestTimeoutError';
}

/** Something went wrong here. */
export class InternalError extends ProblemError {
  override readonly name = 'InternalError';
}

/** The classes by their codes. */
export const problemClasses = {
  'invalid-request': InvalidRequestError,
  'invalid-json': InvalidJsonError,
  'invalid-idempotency-key': InvalidIdempotencyKeyError,
  'unknown-field': UnknownFieldError,
  unauthenticated: UnauthenticatedError,
  'insufficient-scope': InsufficientScopeError,
  'source-not-allowed': SourceNotAllowedError,
  'address-not-allowed': AddressNotAllowedError,
  'not-found': NotFoundError,
  'format-not-available': FormatNotAvailableError,
  'job-not-finished': JobNotFinishedError,
  'job-canceled': JobCanceledError,
  'invalid-state': InvalidStateError,
  'idempotency-in-progress': IdempotencyInProgressError,
  'page-failed': PageFailedError,
  'job-failed': JobFailedError,
  'endpoint-limit-reached': EndpointLimitReachedError,
  'result-expired': ResultExpiredError,
  'payload-too-large': PayloadTooLargeError,
  'unsupported-media-type': UnsupportedMediaTypeError,
  'validation-failed': ValidationFailedError,
  'idempotency-key-reused': IdempotencyKeyReusedError,
  'unknown-model': UnknownModelError,
  'quota-exceeded': QuotaExceededError,
  'queue-full': QueueFullError,
  'too-many-streams': TooManyStreamsError,
  'queue-unavailable': QueueUnavailableError,
  'storage-unavailable': StorageUnavailableError,
  'request-timeout': RequestTimeoutError,
  internal: InternalError,
} as const;

export type ProblemCode = keyof typeof problemClasses;

/** The error that a problem stands for; a code of a newer API gives a plain ProblemError. */
export function toProblemError(problem: Problem, context: ProblemContext): ProblemError {
  const Class = isKnown(problem.code) ? problemClasses[problem.code] : ProblemError;
  return new Class(problem, context);
}

function isKnown(code: string): code is ProblemCode {
  return Object.hasOwn(problemClasses, code);
}

/** Whether an answer's body is a problem, or something else, for example a proxy's page. */
export function isProblem(body: unknown): body is Problem {
  return (
    typeof body === 'object' &&
    body !== null &&
    'code' in body &&
    typeof body.code === 'string' &&
    'detail' in body
  );
}
