import { JobFailure } from '@glyphmill/contract/failure';
import { resultSchema } from '@glyphmill/contract/result';
import type { JobRecord } from '@glyphmill/queue/job-record';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { pollAfterSeconds } from './job-view.ts';
import { getJob, jobParamsSchema, readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { chooseFormat, type Format, mediaTypes } from './result-format.ts';

const maxResultBytes = 256 * 1024 * 1024;
const readTimeoutMs = 30_000;

/** Results in the formats that exist. */
export function addResultRoutes(app: App, dependencies: Dependencies): void {
  app.get(
    '/v1/jobs/:id/result',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getResult',
        summary: 'Get what was read',
        tags: ['results'],
        params: jobParamsSchema,
        querystring: z.strictObject({
          format: z.string().max(32).optional().describe('json or text; wins over the Accept header.'),
        }),
        response: {
          200: {
            description: 'What was read.',
            content: { 'application/json': { schema: resultSchema }, 'text/plain': { schema: z.string() } },
          },
          ...problemResponses(
            ...readProblems,
            'format-not-available',
            'job-not-finished',
            'job-failed',
            'job-canceled',
            'result-expired',
            'storage-unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const format = chooseFormat(request.query.format, request.headers.accept);
      const record = await getJob(dependencies, callerOf(request).tenant, request.params.id);
      const json = await readResult(dependencies, record);
      reply.header('vary', 'accept');
      return sendResult(reply, format, json);
    },
  );
}

/** Answers with a result that is JSON already, as it is or rendered. */
export function sendResult(reply: FastifyReply, format: Format, json: string) {
  const body = format === 'json' ? json : textSchema.parse(JSON.parse(json)).text;
  return reply.type(mediaTypes[format]).send(body);
}

const textSchema = z.object({ text: z.string() });

/** Whether the job ended with a result. */
export function hasResult({ status }: JobRecord): boolean {
  return status === 'succeeded' || status === 'partial';
}

/** The result of a job as JSON. Throws the Problem that says why there is none. */
export async function readResult(dependencies: Dependencies, record: JobRecord): Promise<string> {
  switch (record.status) {
    case 'queued':
    case 'running':
    case 'canceling':
      throw new Problem('job-not-finished', {
        detail: `The job is ${record.status}; ask again, or with ?wait= on the job itself.`,
        retryAfterSeconds: pollAfterSeconds(record, Date.now()) ?? 1,
      });
    case 'canceled':
      throw new Problem('job-canceled', {
        detail: `The job was canceled; submit the document again to have it read.${await whereKept(dependencies, record)}`,
      });
    case 'failed':
    case 'expired':
      throw new Problem('job-failed', {
        detail: `${record.failure?.code ?? 'internal'}: ${record.failure?.message ?? 'no cause is known'}${await whereKept(dependencies, record)}`,
        retryable: record.failure?.retryable ?? false,
      });
    case 'succeeded':
    case 'partial':
      return await readKept(dependencies, record);
  }
}

/** Tells of the pages that were read all the same. */
async function whereKept({ config, jobs }: Dependencies, { id }: JobRecord): Promise<string> {
  const { size } = await jobs.keptPages(id);
  if (size === 0) return '';
  return ` Pages read until then: ${size}, at ${config.publicUrl ?? ''}/v1/jobs/${id}/pages.`;
}

async function readKept({ jobs, objects }: Dependencies, { tenant, id }: JobRecord): Promise<string> {
  const kept = await jobs.result(tenant, id);
  if (kept === undefined) throw expired();
  if (kept.kind === 'inline') return kept.json;
  const signal = AbortSignal.timeout(readTimeoutMs);
  try {
    const { bytes } = await objects.read(kept, { maxBytes: maxResultBytes, signal });
    return bytes.toString('utf8');
  } catch (error) {
    if (error instanceof JobFailure && error.failure.code === 'source-not-found') throw expired();
    throw error;
  }
}

function expired(): Problem {
  return new Problem('result-expired', { detail: 'The job succeeded, and its result is no longer kept.' });
}
