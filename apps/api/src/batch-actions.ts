import { batchSchema } from '@glyphmill/contract/batch';
import { callerOf } from './authenticate.ts';
import { toBatch } from './batch-view.ts';
import { acceptBatch, batchParamsSchema, getBatch } from './batches.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';

/** Cancel a batch, try again what failed of it. */
export function addBatchActionRoutes(app: App, dependencies: Dependencies): void {
  const { config, jobs } = dependencies;

  app.post(
    '/v1/batches/:id/cancel',
    {
      config: { scope: 'jobs:write' },
      schema: {
        operationId: 'cancelBatch',
        summary: 'Cancel a batch',
        description:
          'No more jobs are made of it, those that wait never start, and those that run are left at their next step. Until all have ended it is canceling.',
        tags: ['batches'],
        params: batchParamsSchema,
        response: {
          200: batchSchema.describe('The batch, which had ended before.'),
          202: batchSchema,
          ...problemResponses(...readProblems),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const { id } = request.params;
      const answer = await jobs.batches.order(tenant, id, 'cancel');
      const record = await getBatch(dependencies, tenant, id);
      if (answer !== 'final') return await acceptBatch(dependencies, reply, record);
      return toBatch(record, await jobs.batches.rejections(id), config.publicUrl ?? '');
    },
  );

  app.post(
    '/v1/batches/:id/retry-failed',
    {
      config: { scope: 'jobs:write' },
      schema: {
        operationId: 'retryFailedOfBatch',
        summary: 'Try the jobs of a batch again that failed or expired',
        description:
          'They keep their ids and lose their deadline. A batch that had ended is open again, and completes anew.',
        tags: ['batches'],
        params: batchParamsSchema,
        response: { 202: batchSchema, ...problemResponses(...readProblems, 'invalid-state') },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const { id } = request.params;
      if ((await jobs.batches.order(tenant, id, 'retry')) === 'busy') {
        throw new Problem('invalid-state', {
          detail: 'The jobs of this batch are still being made or canceled; try again when that is done.',
        });
      }
      return await acceptBatch(dependencies, reply, await getBatch(dependencies, tenant, id));
    },
  );
}
