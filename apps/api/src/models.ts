import { modelListSchema } from '@glyphmill/contract/model';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

/** What the workers serve. */
export function addModelRoutes(app: App, { jobs }: Dependencies): void {
  app.get(
    '/v1/models',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'listModels',
        summary: 'List the models that workers have announced',
        tags: ['service'],
        response: { 200: modelListSchema, ...problemResponses(...readProblems) },
      },
    },
    async () => ({ object: 'list' as const, data: await jobs.models(), nextCursor: null }),
  );
}
