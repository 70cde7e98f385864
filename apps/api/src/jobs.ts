import { batchIdSchema, jobIdSchema, newId } from '@glyphmill/contract/id';
import { isFinal, jobListSchema, jobSchema, statusSchema } from '@glyphmill/contract/job';
import { createJobSchema, requestLimits } from '@glyphmill/contract/request';
import type { JobRecord } from '@glyphmill/queue/job-record';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import { limitsOf } from './config.ts';
import type { App, Dependencies } from './dependencies.ts';
import { createGate } from './gate.ts';
import { readIdempotencyKey, submitOnce } from './idempotency.ts';
import { etagOf, matchesEtag, pollAfterSeconds, toJob } from './job-view.ts';
import { Problem, problemResponses } from './problem.ts';
import { rateLimitHeaders } from './rate-limit.ts';
import { decodeSource, submit } from './submit.ts';
import { preferredWaitSeconds, untilGone, waitForEnd } from './wait.ts';

export const jobParamsSchema = z.strictObject({ id: jobIdSchema });

const getQuerySchema = z.strictObject({
  wait: z.coerce
    .number()
    .int()
    .min(0)
    .max(requestLimits.waitSecondsMax)
    .default(0)
    .describe('Seconds to wait for the job’s end before answering.'),
});

export const listLimitMax = 100;

const listQuerySchema = z.strictObject({
  status: statusSchema.optional(),
  batchId: batchIdSchema.optional().describe('Only the jobs of this batch, the last of its source first.'),
  createdAfter: z.iso.datetime({ offset: true }).optional(),
  createdBefore: z.iso.datetime({ offset: true }).optional(),
  cursor: z.string().min(1).max(512).optional().describe('The nextCursor of the list before.'),
  limit: z.coerce.number().int().min(1).max(listLimitMax).default(20),
});

/** Submit a job, look at one, list them. */
export function addJobRoutes(app: App, dependencies: Dependencies, closing: AbortSignal): void {
  const { config, jobs } = dependencies;
  const baseUrl = config.publicUrl ?? '';
  const gate = createGate({
    most: config.submitConcurrency,
    detail: `No more than ${config.submitConcurrency} jobs are taken in at once; try again shortly.`,
  });

  app.post(
    '/v1/jobs',
    {
      config: { scope: 'jobs:write' },
      onRequest: gate.enter,
      schema: {
        operationId: 'createJob',
        summary: 'Submit one document',
        description:
          'RateLimit-Policy and RateLimit tell what is left of your quotas (draft-ietf-httpapi-ratelimit-headers-10); a refusal has Retry-After.',
        tags: ['jobs'],
        body: createJobSchema,
        response: {
          200: jobSchema.describe('The job, which has ended already.'),
          202: jobSchema,
          ...problemResponses(...submitProblems),
        },
      },
    },
    async (request, reply) => {
      const { source, ...rest } = request.body;
      const submission = { ...rest, source: decodeSource(source) };
      const caller = callerOf(request);
      const { tenant } = caller;
      const idempotencyKey = readIdempotencyKey(request);
      const ids = { id: newId('job'), idempotencyKey, traceparent: request.traceparent };
      const once = await submitOnce(
        jobs,
        { tenant, id: ids.id, key: idempotencyKey },
        {
          submit: () => submit(dependencies, caller, submission, ids),
          async find(id) {
            const record = await jobs.get(tenant, id);
            return record && { record, usage: await jobs.usage(tenant) };
          },
        },
      );
      gate.leave(request);
      const { record: submitted, usage } = once.submitted;
      reply.headers(rateLimitHeaders(usage, limitsOf(config).tenant));
      if (once.isReplay) reply.header('idempotent-replayed', 'true');
      const waitSeconds = preferredWaitSeconds(request.headers.prefer);
      if (waitSeconds > 0) reply.header('preference-applied', `wait=${waitSeconds}`);
      const waiting = { timeoutMs: waitSeconds * 1000, signal: untilGone(reply, closing) };
      const record = (await waitForEnd(jobs, submitted, waiting)) ?? submitted;
      return isFinal(record.status) ? toJob(record, baseUrl) : acceptJob(reply, record, baseUrl);
    },
  );

  app.get(
    '/v1/jobs/:id',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getJob',
        summary: 'Look at a job, or wait for its end',
        tags: ['jobs'],
        params: jobParamsSchema,
        querystring: getQuerySchema,
        response: {
          200: jobSchema,
          304: z.undefined().describe('The job looks as it did when this ETag was given.'),
          ...problemResponses(...readProblems),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const found = await getJob(dependencies, tenant, request.params.id);
      const signal = untilGone(reply, closing);
      const record = await waitForEnd(jobs, found, { timeoutMs: request.query.wait * 1000, signal });
      if (record === undefined) throw noSuchJob();
      const job = toJob(record, baseUrl);
      const etag = etagOf(job);
      reply.header('etag', etag);
      addRetryAfter(reply, record);
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send();
      return job;
    },
  );

  app.get(
    '/v1/jobs',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'listJobs',
        summary: 'List jobs, newest first',
        tags: ['jobs'],
        querystring: listQuerySchema,
        response: { 200: jobListSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const { tenant } = callerOf(request);
      const { createdAfter, createdBefore, ...query } = request.query;
      const page = await jobs
        .list(tenant, {
          ...query,
          createdAfterMs: timeMs(createdAfter),
          createdBeforeMs: timeMs(createdBefore),
        })
        .catch((error: unknown) => {
          if (!(error instanceof RangeError)) throw error;
          throw new Problem('validation-failed', { detail: `Query parameter cursor: ${error.message}` });
        });
      return {
        object: 'list' as const,
        data: page.records.map((record) => toJob(record, baseUrl)),
        nextCursor: page.nextCursor,
      };
    },
  );
}

/** Problems of every route that submits something. */
export const submitProblems = [
  'invalid-request',
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'idempotency-key-reused',
  'not-found',
  'invalid-json',
  'unknown-field',
  'unauthenticated',
  'insufficient-scope',
  'source-not-allowed',
  'address-not-allowed',
  'request-timeout',
  'payload-too-large',
  'unsupported-media-type',
  'validation-failed',
  'unknown-model',
  'quota-exceeded',
  'queue-full',
  'queue-unavailable',
  'storage-unavailable',
  'internal',
] as const;

/** Problems of every route that only looks something up. */
export const readProblems = [
  'invalid-request',
  'unknown-field',
  'unauthenticated',
  'insufficient-scope',
  'not-found',
  'request-timeout',
  'validation-failed',
  'queue-unavailable',
  'internal',
] as const;

/** The caller's job. Throws not-found, also for another tenant's. */
export async function getJob({ jobs }: Dependencies, tenant: string, id: string): Promise<JobRecord> {
  const record = await jobs.get(tenant, id);
  if (record === undefined) throw noSuchJob();
  return record;
}

/** Answers 202 with where and when to ask for the job. */
export function acceptJob(reply: FastifyReply, record: JobRecord, baseUrl: string) {
  addRetryAfter(reply, record);
  const job = toJob(record, baseUrl);
  reply.code(202).header('location', job.links.self);
  return job;
}

export function noSuchJob(): Problem {
  return new Problem('not-found', { detail: 'There is no such job, or it has expired.' });
}

function addRetryAfter(reply: FastifyReply, record: JobRecord): void {
  if (isFinal(record.status)) return;
  reply.header('retry-after', pollAfterSeconds(record, Date.now()));
}

function timeMs(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}
