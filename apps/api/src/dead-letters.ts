import { deadLetterSchema } from '@glyphmill/contract/dead-letter';
import { failureCodeSchema } from '@glyphmill/contract/failure';
import type { DeadLetterQuery } from '@glyphmill/queue/dead-letters';
import { z } from 'zod';
import type { App, Dependencies } from './dependencies.ts';
import { toJob } from './job-view.ts';
import { listLimitMax, readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';

const timeSchema = z.iso.datetime({ offset: true }).transform((time) => Date.parse(time));

const filterSchema = z.strictObject({
  tenant: z.string().min(1).max(64).optional(),
  code: failureCodeSchema.optional().describe('Only jobs that failed for this reason.'),
  failedAfter: timeSchema.optional(),
  failedBefore: timeSchema.optional(),
});

const deadLetterListSchema = z
  .object({
    object: z.literal('list'),
    data: z.array(deadLetterSchema),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'DeadLetterList' });

const redriveSchema = z
  .object({
    object: z.literal('redrive'),
    count: z.int().describe('Jobs that are queued again.'),
    more: z.boolean().describe('Whether the filter finds further jobs: call again.'),
  })
  .meta({ id: 'Redrive' });

/** Jobs tried again in one call, at most: it answers before a caller loses patience. */
const redriveMax = 1000;

/** For the operator: the jobs of all tenants that failed for good, and another try for them. */
export function addDeadLetterRoutes(app: App, { config, jobs }: Dependencies): void {
  const baseUrl = config.publicUrl ?? '';

  async function find(query: DeadLetterQuery) {
    return await jobs.deadLetters(query).catch((error: unknown) => {
      if (!(error instanceof RangeError)) throw error;
      throw new Problem('validation-failed', { detail: `Query parameter cursor: ${error.message}` });
    });
  }

  app.get(
    '/v1/dead-letters',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'listDeadLetters',
        summary: 'List failed jobs of all tenants, the latest first',
        tags: ['operation'],
        querystring: filterSchema.extend({
          cursor: z.string().min(1).max(512).optional(),
          limit: z.coerce.number().int().min(1).max(listLimitMax).default(20),
        }),
        response: { 200: deadLetterListSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const { failedAfter, failedBefore, ...query } = request.query;
      const page = await find({ ...query, failedAfterMs: failedAfter, failedBeforeMs: failedBefore });
      return {
        object: 'list' as const,
        data: page.records.map((record) => ({ ...toJob(record, baseUrl), tenant: record.tenant })),
        nextCursor: page.nextCursor,
      };
    },
  );

  app.post(
    '/v1/dead-letters/redrive',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'redriveDeadLetters',
        summary: 'Try failed jobs again',
        description: `At most ${redriveMax} in one call. A job keeps its id and loses its deadline.`,
        tags: ['operation'],
        body: filterSchema.extend({
          limit: z.int().min(1).max(redriveMax).default(redriveMax),
        }),
        response: {
          202: redriveSchema,
          ...problemResponses(...readProblems, 'invalid-json', 'payload-too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request, reply) => {
      const { failedAfter, failedBefore, limit, ...filter } = request.body;
      const query = { ...filter, failedAfterMs: failedAfter, failedBeforeMs: failedBefore };
      let cursor: string | undefined;
      let count = 0;
      do {
        const page = await find({ ...query, cursor, limit: Math.min(listLimitMax, limit - count) });
        for (const { id } of page.records) {
          if ((await jobs.retry(null, id)).kind === 'queued') count += 1;
        }
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined && count < limit);
      reply.code(202);
      return { object: 'redrive' as const, count, more: cursor !== undefined };
    },
  );
}
