import { JobFailure } from '@glyphmill/contract/failure';
import { type ProblemCode, problems } from '@glyphmill/contract/problem';
import {
  IdempotencyConflict,
  QueueFull,
  QueueUnavailable,
  QuotaExceeded,
  RedisPolicyError,
  TooManyBatches,
} from '@glyphmill/queue/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApiMetrics, RefusalReason } from './metrics.ts';
import { Problem, problemBody, problemMediaType } from './problem.ts';
import { rateLimitHeaders } from './rate-limit.ts';
import { invalid } from './validation.ts';

const unavailableRetrySeconds = 5;
/** It takes a person to mend. */
const policyRetrySeconds = 60;

/** Where Fastify decides itself: its error codes → ours. */
const frameworkCodes: Record<string, ProblemCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload-too-large',
  FST_REQ_FILE_TOO_LARGE: 'payload-too-large',
  FST_PARTS_LIMIT: 'payload-too-large',
  FST_FILES_LIMIT: 'payload-too-large',
  FST_FIELDS_LIMIT: 'payload-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid-json',
};

/** The one place where whatever was thrown becomes an answer: what is not known is logged and `internal`. */
export function createErrorHandler(metrics: Pick<ApiMetrics, 'refused' | 'admissionRefused'>) {
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const problem = toProblem(error);
    const ours = problems[problem.code].status >= 500 && problem.code !== 'queue-full';
    if (ours) request.log.error({ err: error }, 'a request failed');
    metrics.refused.inc({ reason: problem.code });
    const want = wantOf(error);
    if (want !== undefined) metrics.admissionRefused.inc({ reason: want });
    const { retryAfterSeconds, headers } = problem.options;
    if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
    const body = problemBody(problem, { id: request.id, url: request.url });
    await reply
      .code(body.status)
      .headers({ ...headers, 'x-request-id': request.id })
      .type(problemMediaType)
      .send(body);
  };
}

/** What there was too little of for a job or batch that is refused; undefined for every other error. */
function wantOf(error: unknown): RefusalReason | undefined {
  if (error instanceof QueueFull) return error.reason;
  if (error instanceof QuotaExceeded) return `quota-${error.unit}`;
  if (error instanceof TooManyBatches) return 'batches';
  return error instanceof RedisPolicyError ? 'redis-policy' : undefined;
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  // Without this note it is a record or an answer of our own that is not as it should be.
  if (error instanceof z.ZodError && 'validationContext' in error) {
    return invalid(error, String(error.validationContext));
  }
  if (error instanceof QueueFull) {
    return new Problem('queue-full', { detail: error.message, retryAfterSeconds: error.retryAfterSeconds });
  }
  if (error instanceof QuotaExceeded) {
    return new Problem('quota-exceeded', {
      detail: error.message,
      retryAfterSeconds: error.retryAfterSeconds,
      headers: rateLimitHeaders(error.usage, error.limits, error),
    });
  }
  if (error instanceof TooManyBatches) {
    return new Problem('quota-exceeded', {
      detail: error.message,
      retryAfterSeconds: error.retryAfterSeconds,
    });
  }
  if (error instanceof RedisPolicyError) {
    return new Problem('queue-unavailable', {
      detail:
        'The queue could lose jobs as it is set up at present, so none are accepted; an operator must see to it.',
      retryAfterSeconds: policyRetrySeconds,
    });
  }
  if (error instanceof IdempotencyConflict) {
    return error.reason === 'reused'
      ? new Problem('idempotency-key-reused', { detail: error.message })
      : new Problem('idempotency-in-progress', { detail: error.message, retryAfterSeconds: 1 });
  }
  if (error instanceof QueueUnavailable) {
    return new Problem('queue-unavailable', {
      detail:
        'The queue did not answer in time. A job being submitted may have been taken all the same: send it again with the same Idempotency-Key, or look for it in GET /v1/jobs.',
      retryAfterSeconds: unavailableRetrySeconds,
    });
  }
  if (error instanceof JobFailure) {
    return new Problem('storage-unavailable', {
      detail: 'The object store did not take or give a document; try again shortly.',
      retryAfterSeconds: unavailableRetrySeconds,
    });
  }
  return ofFramework(error);
}

function ofFramework(error: unknown): Problem {
  if (!(error instanceof Error)) return unexpected();
  const known = 'code' in error ? frameworkCodes[String(error.code)] : undefined;
  if (known !== undefined) return new Problem(known, { detail: error.message });
  const status = 'statusCode' in error ? Number(error.statusCode) : 500;
  if (status < 400 || status >= 500) return unexpected();
  // The JSON parser's own complaints, such as a field named __proto__, are plain SyntaxErrors.
  return new Problem(error instanceof SyntaxError ? 'invalid-json' : 'invalid-request', {
    detail: error.message,
  });
}

function unexpected(): Problem {
  return new Problem('internal', {
    detail: 'An unexpected error stopped this request; the log names its cause under the same request id.',
  });
}
