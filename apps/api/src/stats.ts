import { statsSchema } from '@glyphmill/contract/stats';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

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
