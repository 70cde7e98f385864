import type { QuotaUnit } from '@glyphmill/queue/quota';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import { limitsOf } from './config.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

const quotaSchema = z.object({ inUse: z.number(), limit: z.int() }).meta({ id: 'Quota' });

const usageSchema = z
  .object({
    object: z.literal('usage'),
    jobs: quotaSchema.describe('Jobs that are open, waiting or running.'),
    pages: quotaSchema.describe('Pages of the running ones, as far as they are known.'),
    megapixels: quotaSchema.describe('Megapixels of the pages decoded so far.'),
  })
  .meta({ id: 'TenantUsage' });

/** What the caller's open jobs add up to. */
export function addUsageRoutes(app: App, { config, jobs }: Dependencies): void {
  app.get(
    '/v1/usage',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getUsage',
        summary: 'What your open jobs count for, and how much may be',
        tags: ['service'],
        response: { 200: usageSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const inUse = await jobs.usage(callerOf(request).tenant);
      const limits = limitsOf(config).tenant;
      const quota = (unit: QuotaUnit) => ({ inUse: inUse[unit], limit: limits[unit] });
      return {
        object: 'usage' as const,
        jobs: quota('jobs'),
        pages: quota('pages'),
        megapixels: quota('megapixels'),
      };
    },
  );
}
