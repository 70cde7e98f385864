import { batchListSchema, batchSchema } from '@glyphmill/contract/batch';
import { createBatchSchema, looseBatchSchema } from '@glyphmill/contract/batch-request';
import { batchIdSchema, newId } from '@glyphmill/contract/id';
import { requestLimits } from '@glyphmill/contract/request';
import type { BatchRecord } from '@glyphmill/queue/batch-record';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import { submitBatch } from './batch-submit.ts';
import { toBatch, toBatchSummary } from './batch-view.ts';
import { limitsOf } from './config.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readIdempotencyKey, submitOnce } from './idempotency.ts';
import { etagOf, matchesEtag, patienceSeconds } from './job-view.ts';
import { listLimitMax, readProblems, submitProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { rateLimitHeaders } from './rate-limit.ts';
import { parseBody } from './validation.ts';
import { untilGone } from './wait.ts';

export const batchParamsSchema = z.strictObject({ id: batchIdSchema });

/** Submit many documents, look at a batch, list them. */
export function addBatchRoutes(app: App, dependencies: Dependencies, closing: AbortSignal): void {
  const { config, jobs } = dependencies;
  const baseUrl = config.publicUrl ?? '';

  app.post(
    '/v1/batches',
    {
      config: { scope: 'jobs:write', bodies: { 'application/json': createBatchSchema } },
      schema: {
        operationId: 'createBatch',
        summary: 'Submit many documents',
        description:
          'Named one by one, by a manifest of JSON lines, or by a prefix. What is wrong with one of them rejects that one alone. The jobs are made afterwards: the batch tells how far that has come.',
        tags: ['batches'],
        response: { 202: batchSchema, ...problemResponses(...submitProblems) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { tenant } = caller;
      const body = parseBody(looseBatchSchema, request.body);
      const idempotencyKey = readIdempotencyKey(request);
      const ids = { id: newId('bat'), idempotencyKey, traceparent: request.traceparent };
      const find = (id: string) => jobs.batches.get(tenant, id);
      const { submitted, isReplay } = await submitOnce(
        jobs,
        { tenant, id: ids.id, key: idempotencyKey },
        {
          submit: async () => {
            await submitBatch(dependencies, caller, body, ids);
            return await getBatch(dependencies, tenant, ids.id);
          },
          find,
        },
      );
      reply.headers(rateLimitHeaders(await jobs.usage(tenant), limitsOf(config).tenant));
      if (isReplay) reply.header('idempotent-replayed', 'true');
      return await acceptBatch(dependencies, reply, submitted);
    },
  );

  app.get(
    '/v1/batches/:id',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getBatch',
        summary: 'Look at a batch, or wait for its end',
        tags: ['batches'],
        params: batchParamsSchema,
        querystring: z.strictObject({
          wait: z.coerce
            .number()
            .int()
            .min(0)
            .max(requestLimits.waitSecondsMax)
            .default(0)
            .describe('Seconds to wait for the batch’s end before answering.'),
        }),
        response: {
          200: batchSchema,
          304: z.undefined().describe('The batch looks as it did when this ETag was given.'),
          ...problemResponses(...readProblems),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const { id } = request.params;
      let record = await getBatch(dependencies, tenant, id);
      const timeoutMs = request.query.wait * 1000;
      if (record.finishedAtMs === null && timeoutMs > 0) {
        await jobs.batches.waitForEnd(id, { timeoutMs, signal: untilGone(reply, closing) });
        record = await getBatch(dependencies, tenant, id);
      }
      const batch = toBatch(record, await jobs.batches.rejections(id), baseUrl);
      const etag = etagOf(batch);
      reply.header('etag', etag);
      addRetryAfter(reply, record);
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send();
      return batch;
    },
  );

  app.get(
    '/v1/batches',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'listBatches',
        summary: 'List batches, newest first',
        tags: ['batches'],
        querystring: z.strictObject({
          cursor: z.string().min(1).max(512).optional().describe('The nextCursor of the list before.'),
          limit: z.coerce.number().int().min(1).max(listLimitMax).default(20),
        }),
        response: { 200: batchListSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const page = await orBadCursor(jobs.batches.list(callerOf(request).tenant, request.query));
      return {
        object: 'list' as const,
        data: page.records.map((record) => toBatchSummary(record, baseUrl)),
        nextCursor: page.nextCursor,
      };
    },
  );
}

/** The caller's batch. Throws not-found, also for another tenant's. */
export async function getBatch({ jobs }: Dependencies, tenant: string, id: string): Promise<BatchRecord> {
  const record = await jobs.batches.get(tenant, id);
  if (record !== undefined) return record;
  throw new Problem('not-found', { detail: 'There is no such batch, or it has expired.' });
}

/** Answers 202 with where and when to ask for the batch. */
export async function acceptBatch({ config, jobs }: Dependencies, reply: FastifyReply, record: BatchRecord) {
  addRetryAfter(reply, record);
  const batch = toBatch(record, await jobs.batches.rejections(record.id), config.publicUrl ?? '');
  reply.code(202).header('location', batch.links.self);
  return batch;
}

/** What a list answers to a cursor that is none of its own. */
export async function orBadCursor<T>(page: Promise<T>): Promise<T> {
  try {
    return await page;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Problem('validation-failed', { detail: `Query parameter cursor: ${error.message}` });
  }
}

function addRetryAfter(reply: FastifyReply, record: BatchRecord): void {
  if (record.finishedAtMs === null) reply.header('retry-after', patienceSeconds(record, Date.now()));
}
