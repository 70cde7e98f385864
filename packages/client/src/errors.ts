import type { Fault, Problem } from './types.ts';

/** Everything this package throws, but for what a caller's own AbortSignal gives as its reason. */
export class GlyphmillError extends Error {
  override readonly name: string = 'GlyphmillError';
}

/** The API could not be reached, or the connection broke. The message names the last of the tries. */
export class ConnectionError extends GlyphmillError {
  override readonly name = 'ConnectionError';
}

/** No answer within `timeoutMs`, at none of the tries. */
export class TimeoutError extends GlyphmillError {
  override readonly name = 'TimeoutError';
}

/** The API answered with a redirect. None is followed, so that the API key goes nowhere else. */
export class RedirectError extends GlyphmillError {
  override readonly name = 'RedirectError';
}

/** `wait` was given a time, and it is over. What was waited for goes on. */
export class WaitTimeoutError extends GlyphmillError {
  override readonly name = 'WaitTimeoutError';
}

/** The input cannot be read, or is nothing that can be sent. */
export class InputError extends GlyphmillError {
  override readonly name = 'InputError';
}

/** The object store did not take an upload. */
export class UploadError extends GlyphmillError {
  override readonly name = 'UploadError';
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** A webhook is not what it claims to be: answer it with 400 and do nothing. */
export class WebhookVerificationError extends GlyphmillError {
  override readonly name = 'WebhookVerificationError';
}

/** What else an answer said, beside the problem in its body. */
export interface ProblemContext {
  retryAfterMs: number | undefined;
}

/** The API's answer to a call that it refuses: RFC 9457, by its `code`. Each code has a class of its own. */
export class ProblemError extends GlyphmillError {
  override readonly name: string = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly title: string;
  /** What was expected, what came, and what to do. */
  readonly detail: string;
  /** To be named when asking whoever runs the API. */
  readonly requestId: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** What is wrong where in the request, if that is what is wrong. */
  readonly errors: readonly Fault[];
  readonly retryAfterMs: number | undefined;

  constructor(problem: Problem, { retryAfterMs }: ProblemContext) {
    super(`${problem.code}: ${problem.detail}`);
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.requestId = problem.requestId;
    this.retryable = problem.retryable;
    this.errors = problem.errors ?? [];
    this.retryAfterMs = retryAfterMs;
  }
}
