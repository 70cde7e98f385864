import { type Queue, queueSchema } from '@glyphmill/contract/queue';
import { type QueueName, type QueueState, queueNames } from '@glyphmill/queue/queue-state';
import { z } from 'zod';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

const queueListSchema = z
  .object({ object: z.literal('list'), data: z.array(queueSchema), nextCursor: z.null() })
  .meta({ id: 'QueueList' });

const paramsSchema = z.strictObject({ name: z.enum(queueNames) });

/** For the operator: how the queues stand, and a tap for each. */
export function addQueueRoutes(app: App, { jobs }: Dependencies): void {
  app.get(
    '/v1/queues',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'listQueues',
        summary: 'How the queues stand',
        tags: ['operation'],
        response: { 200: queueListSchema, ...problemResponses(...readProblems) },
      },
    },
    async () => ({
      object: 'list' as const,
      data: await Promise.all(queueNames.map(async (name) => toQueue(await jobs.queueState(name)))),
      nextCursor: null,
    }),
  );

  const addTap = (action: 'pause' | 'resume', summary: string, set: (name: QueueName) => Promise<void>) =>
    app.post(
      `/v1/queues/:name/${action}`,
      {
        config: { scope: 'admin' },
        schema: {
          operationId: `${action}Queue`,
          summary,
          tags: ['operation'],
          params: paramsSchema,
          response: { 200: queueSchema, ...problemResponses(...readProblems) },
        },
      },
      async (request) => {
        await set(request.params.name);
        return toQueue(await jobs.queueState(request.params.name));
      },
    );
  addTap('pause', 'Let workers take nothing more; jobs are still accepted', jobs.pauseQueue);
  addTap('resume', 'Let workers go on', jobs.resumeQueue);
}

function toQueue({ oldestAtMs, perSecond, ...state }: QueueState): Queue {
  return {
    object: 'queue',
    ...state,
    oldestAgeSeconds: ageSeconds(oldestAtMs),
    ratePerSecond: Math.round(perSecond * 100) / 100,
  };
}

/** In tenths; null when nothing waits. */
export function ageSeconds(atMs: number | null): number | null {
  return atMs === null ? null : Math.max(0, Math.round((Date.now() - atMs) / 100) / 10);
}
