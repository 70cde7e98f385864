import { Readable } from 'node:stream';
import { batchResultSchema } from '@glyphmill/contract/batch';
import { JobFailure } from '@glyphmill/contract/failure';
import { isFinal, jobListSchema, statusSchema } from '@glyphmill/contract/job';
import type { BatchRecord } from '@glyphmill/queue/batch-record';
import type { JobRecord } from '@glyphmill/queue/job-record';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import { batchParamsSchema, getBatch, orBadCursor } from './batches.ts';
import type { App, Dependencies } from './dependencies.ts';
import { toJob } from './job-view.ts';
import { listLimitMax, readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { readResult } from './results.ts';
import { untilGone } from './wait.ts';

const resultsPageSize = 100;

/** The jobs of a batch, and what they came to. */
export function addBatchItemRoutes(app: App, dependencies: Dependencies, closing: AbortSignal): void {
  const { config, jobs } = dependencies;

  app.get(
    '/v1/batches/:id/items',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'listBatchItems',
        summary: 'List the jobs of a batch in the order of its source',
        tags: ['batches'],
        params: batchParamsSchema,
        querystring: z.strictObject({
          status: statusSchema.optional(),
          cursor: z.string().min(1).max(512).optional().describe('The nextCursor of the list before.'),
          limit: z.coerce.number().int().min(1).max(listLimitMax).default(20),
        }),
        response: { 200: jobListSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const batch = await getBatch(dependencies, callerOf(request).tenant, request.params.id);
      const page = await orBadCursor(jobs.batches.jobs(batch, request.query));
      return {
        object: 'list' as const,
        data: page.records.map((record) => toJob(record, config.publicUrl ?? '')),
        nextCursor: page.nextCursor,
      };
    },
  );

  app.get(
    '/v1/batches/:id/results',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getBatchResults',
        summary: 'Stream the results of a batch as JSON lines',
        description:
          'One line for each job that has ended, in the order of the source. Those that have not are left out: ask again when the batch has completed.',
        tags: ['batches'],
        params: batchParamsSchema,
        response: {
          200: {
            description: 'JSON lines, each as described.',
            content: { 'application/x-ndjson': { schema: batchResultSchema } },
          },
          ...problemResponses(...readProblems),
        },
      },
    },
    async (request, reply) => {
      const batch = await getBatch(dependencies, callerOf(request).tenant, request.params.id);
      const lines = resultLines(dependencies, batch, untilGone(reply, closing));
      return sendLines(reply, lines);
    },
  );
}

/** One line at a time is in memory, and the next is read when the caller has taken it. */
function sendLines(reply: FastifyReply, lines: AsyncIterable<string>) {
  const body = Readable.from(lines, { highWaterMark: 1 });
  return reply.type('application/x-ndjson; charset=utf-8').send(body);
}

async function* resultLines(dependencies: Dependencies, batch: BatchRecord, signal: AbortSignal) {
  let cursor: string | undefined;
  do {
    const query = { cursor, limit: resultsPageSize };
    const page = await dependencies.jobs.batches.jobs(batch, query);
    for (const record of page.records) {
      signal.throwIfAborted();
      if (isFinal(record.status)) yield `${await resultLine(dependencies, record)}\n`;
    }
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}

/** The result is put in as it is kept: parsing and writing it anew would only take time. */
async function resultLine(dependencies: Dependencies, record: JobRecord): Promise<string> {
  const { id: jobId, batch, status } = record;
  const kept = await readOrError(dependencies, record);
  const head = JSON.stringify({ jobId, index: batch?.index, status, error: kept.error });
  return `${head.slice(0, -1)},"result":${kept.json}}`;
}

async function readOrError(dependencies: Dependencies, record: JobRecord) {
  if (record.status !== 'succeeded' && record.status !== 'partial') {
    return { json: 'null', error: record.failure };
  }
  try {
    return { json: await readResult(dependencies, record), error: null };
  } catch (error) {
    // The others can still be told.
    if (error instanceof Problem && error.code === 'result-expired') {
      return { json: 'null', error: { code: 'result-expired', message: error.message } };
    }
    if (!(error instanceof JobFailure)) throw error;
    return { json: 'null', error: { code: 'storage-unavailable', message: error.failure.message } };
  }
}
