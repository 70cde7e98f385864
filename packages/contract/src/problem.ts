import { z } from 'zod';

/** Every error a call may be answered with: code → HTTP status and title. */
export const problems = {
  'invalid-request': { status: 400, title: 'The request is malformed' },
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'invalid-idempotency-key': { status: 400, title: 'The Idempotency-Key cannot be used' },
  'unknown-field': { status: 400, title: 'The body has a field this call does not know' },
  unauthenticated: { status: 401, title: 'A valid API key is needed' },
  'insufficient-scope': { status: 403, title: 'This API key may not do that' },
  'source-not-allowed': { status: 403, title: 'This API key may not read that object' },
  'address-not-allowed': { status: 403, title: 'That webhook address is not allowed' },
  'not-found': { status: 404, title: 'There is nothing at this address' },
  'format-not-available': { status: 406, title: 'The result cannot be given in that format' },
  'job-not-finished': { status: 409, title: 'The job has not ended yet' },
  'job-canceled': { status: 409, title: 'The job was canceled and has no result' },
  'invalid-state': { status: 409, title: 'The state it is in does not allow that' },
  'idempotency-in-progress': { status: 409, title: 'A request with this Idempotency-Key is still running' },
  'page-failed': { status: 409, title: 'The page could not be read' },
  'job-failed': { status: 409, title: 'The job failed and has no result' },
  'endpoint-limit-reached': { status: 409, title: 'There are as many webhook endpoints as may be' },
  'result-expired': { status: 410, title: 'The result has expired' },
  'payload-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'This media type is not accepted here' },
  'validation-failed': { status: 422, title: 'The request is not valid' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key was used for another request' },
  'unknown-model': { status: 422, title: 'No worker serves that model' },
  'quota-exceeded': { status: 429, title: 'The tenant’s quota is used up' },
  'queue-full': { status: 503, title: 'The queue is full' },
  'too-many-streams': { status: 503, title: 'Too many event streams are open' },
  'queue-unavailable': { status: 503, title: 'The queue cannot be reached' },
  'storage-unavailable': { status: 503, title: 'The object store cannot be reached' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  internal: { status: 500, title: 'Something went wrong here' },
} as const;

export type ProblemCode = keyof typeof problems;

/** RFC 9457 `application/problem+json`. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    instance: z.string(),
    requestId: z.string(),
    retryable: z.boolean(),
    errors: z
      .array(
        z.object({ pointer: z.string().describe('RFC 6901 pointer into the body.'), detail: z.string() }),
      )
      .optional(),
  })
  .meta({ id: 'Problem' });
export type ProblemBody = z.infer<typeof problemSchema>;
