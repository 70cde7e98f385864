import { z } from 'zod';

/** Where in a job's path an attempt failed. */
const phaseSchema = z.enum(['queue', 'fetch', 'decode', 'detect', 'recognize', 'store']);
export type Phase = z.infer<typeof phaseSchema>;

/** Why a job failed: the closed list that callers may switch on. */
export const failureCodeSchema = z.enum([
  'source-not-found',
  'source-bucket-not-found',
  'source-access-denied',
  'source-changed',
  'source-unavailable',
  'source-timeout',
  'empty-document',
  'unsupported-document',
  'corrupt-document',
  'image-too-large',
  'too-many-pages',
  'document-too-large',
  'invalid-page-range',
  'decode-crashed',
  'decode-timeout',
  'decode-out-of-memory',
  'model-error',
  'model-unavailable',
  'destination-failed',
  'timeout',
  'deadline-exceeded',
  'worker-lost',
  'invalid-job',
  'internal',
]);
export type FailureCode = z.infer<typeof failureCodeSchema>;

export const failureSchema = z.object({
  code: failureCodeSchema,
  message: z.string().describe('What was expected, what came, and what to do next.'),
  retryable: z.boolean().describe('Whether the same job could succeed later without a change.'),
  phase: phaseSchema,
  page: z.int().positive().optional(),
});
export type Failure = z.infer<typeof failureSchema>;

/**
 * Thrown where the cause is known, and there decided permanent or transient. A transient failure
 * (`retryable`) is attempted again until the job's attempts are spent; a permanent one ends the job.
 */
export class JobFailure extends Error {
  override readonly name = 'JobFailure';
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message, options);
    this.failure = failure;
  }
}

/** The failure that `error` stands for; anything unknown is `internal`, and worth another attempt. */
export function toFailure(error: unknown, phase: Phase): Failure {
  if (error instanceof JobFailure) return error.failure;
  return {
    code: 'internal',
    message: 'An unexpected error stopped this job; the worker log names the cause under the same job id.',
    retryable: true,
    phase,
  };
}
