import { z } from 'zod';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

const microBatchStatsSchema = z
  .object({
    model: z.string(),
    version: z.string(),
    batchesPerSecond: z.number(),
    itemsPerSecond: z.number().describe('Lines of a recogniser, pages of a detector.'),
    meanSize: z.number(),
    fill: z.number().describe('Items ÷ those that the micro-batches had room for, 0–1.'),
    triggers: z
      .record(z.string(), z.int())
      .describe('Micro-batches by what made them go: size, preferred, delay, idle, drain.'),
  })
  .meta({ id: 'MicroBatchStats' });

const statsSchema = z
  .object({
    object: z.literal('stats'),
    failures: z.object({
      kept: z.int().describe('Failed jobs of all tenants that can be tried again.'),
      lastHour: z.int().describe('Of them those that failed in the last hour.'),
    }),
    microBatches: z
      .array(microBatchStatsSchema)
      .describe('By model version, of all workers in the last minute; those that ran none are left out.'),
  })
  .meta({ id: 'Stats' });

/** For the operator: what the queues alone do not tell. Prometheus has more, at the metrics ports. */
export function addStatsRoutes(app: App, { jobs }: Dependencies): void {
  app.get(
    '/v1/stats',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'getStats',
        summary: 'How full micro-batches are, how fast they go, and how many jobs failed',
        tags: ['operation'],
        response: { 200: statsSchema, ...problemResponses(...readProblems) },
      },
    },
    async () => {
      const [failures, { seconds, counts }] = await Promise.all([
        jobs.deadLetterCount(),
        jobs.microBatches(),
      ]);
      return {
        object: 'stats' as const,
        failures,
        microBatches: counts.map(({ model, version, batches, items, room, triggers }) => ({
          model,
          version,
          batchesPerSecond: hundredths(batches / seconds),
          itemsPerSecond: hundredths(items / seconds),
          meanSize: hundredths(items / batches),
          fill: hundredths(items / room),
          triggers,
        })),
      };
    },
  );
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
