import { jobSchema } from '@glyphmill/contract/job';
import { taskSchema } from '@glyphmill/contract/message';
import { pagesPrefix } from '@glyphmill/contract/object-key';
import type { DeleteAnswer } from '@glyphmill/queue/retry';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { toJob } from './job-view.ts';
import { acceptJob, getJob, jobParamsSchema, noSuchJob, readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { untilGone, waitForEnd } from './wait.ts';

const removeTimeoutMs = 15_000;
/** How long a DELETE that cancels waits for the worker to leave the job. */
const leaveTimeoutMs = 30_000;

/** Cancel a job, try it again, forget it. */
export function addJobActionRoutes(app: App, dependencies: Dependencies, closing: AbortSignal): void {
  const { config, jobs, objects, log } = dependencies;
  const baseUrl = config.publicUrl ?? '';

  app.post(
    '/v1/jobs/:id/cancel',
    {
      config: { scope: 'jobs:write' },
      schema: {
        operationId: 'cancelJob',
        summary: 'Cancel a job',
        description:
          'A job that waits never starts. One that runs is left at its next step; until then it is canceling. One that has ended stays as it is.',
        tags: ['jobs'],
        params: jobParamsSchema,
        response: {
          200: jobSchema.describe('The job, which has ended.'),
          202: jobSchema.describe('The job, which its worker is about to leave.'),
          ...problemResponses(...readProblems),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const answer = await jobs.cancel(tenant, request.params.id);
      const record = await getJob(dependencies, tenant, request.params.id);
      return answer === 'canceling' ? acceptJob(reply, record, baseUrl) : toJob(record, baseUrl);
    },
  );

  app.post(
    '/v1/jobs/:id/retry',
    {
      config: { scope: 'jobs:write' },
      schema: {
        operationId: 'retryJob',
        summary: 'Try a job again that failed, expired or was read in part',
        description: 'The job keeps its id and loses its deadline.',
        tags: ['jobs'],
        params: jobParamsSchema,
        response: { 202: jobSchema, ...problemResponses(...readProblems, 'invalid-state') },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const answer = await jobs.retry(tenant, request.params.id);
      if (answer.kind === 'missing') throw noSuchJob();
      if (answer.kind === 'refused') {
        throw new Problem('invalid-state', {
          detail: `The job is ${answer.status}; only one that is failed, partial or expired can be tried again.`,
        });
      }
      if (answer.voidResult !== null) await remove(dependencies, [answer.voidResult]);
      return acceptJob(reply, await getJob(dependencies, tenant, request.params.id), baseUrl);
    },
  );

  app.delete(
    '/v1/jobs/:id',
    {
      config: { scope: 'jobs:write' },
      schema: {
        operationId: 'deleteJob',
        summary: 'Forget a job, its result, its pages and its document if that came with the request',
        tags: ['jobs'],
        params: jobParamsSchema,
        querystring: z.strictObject({
          cancel: z.stringbool().default(false).describe('Cancel the job first if it has not ended yet.'),
        }),
        response: {
          204: z.undefined().describe('It is gone.'),
          ...problemResponses(...readProblems, 'invalid-state'),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const { id } = request.params;
      if (request.query.cancel) await cancelAndWait(reply, tenant, id);
      const answer = await jobs.delete(tenant, id);
      if (answer.kind === 'missing') throw noSuchJob();
      if (answer.kind === 'open') {
        throw new Problem('invalid-state', {
          detail: `The job is ${answer.status}; cancel it first, or delete it with ?cancel=true.`,
        });
      }
      await remove(dependencies, objectsOf(answer));
      await removePages(id);
      return reply.code(204).send();
    },
  );

  async function removePages(id: string): Promise<void> {
    const place = { bucket: config.s3SystemBucket, prefix: pagesPrefix(id) };
    await objects
      .removeAll(place, { signal: AbortSignal.timeout(removeTimeoutMs) })
      .catch((err: unknown) =>
        log.warn({ err, jobId: id }, 'pages stay until the bucket’s lifecycle rule takes them'),
      );
  }

  async function cancelAndWait(reply: FastifyReply, tenant: string, id: string): Promise<void> {
    if ((await jobs.cancel(tenant, id)) !== 'canceling') return;
    const record = await getJob(dependencies, tenant, id);
    await waitForEnd(jobs, record, { timeoutMs: leaveTimeoutMs, signal: untilGone(reply, closing) });
  }
}

/** What of a deleted job is in the system bucket: its result if that was large, and a document that came with it. */
function objectsOf({ task, result }: Extract<DeleteAnswer, { kind: 'deleted' }>) {
  const places = result === null ? [] : [result];
  const parsed = taskSchema.safeParse(JSON.parse(task));
  return parsed.success && parsed.data.inline !== null ? [...places, parsed.data.document] : places;
}

async function remove(
  { objects, log }: Dependencies,
  places: readonly { bucket: string; key: string }[],
): Promise<void> {
  for (const place of places) {
    await objects
      .remove(place, { signal: AbortSignal.timeout(removeTimeoutMs) })
      .catch((err: unknown) =>
        log.warn({ err, key: place.key }, 'an object stays until the bucket’s lifecycle rule takes it'),
      );
  }
}
