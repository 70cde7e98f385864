import { z } from 'zod';

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

/** What the queues alone do not tell of the work. */
export const statsSchema = z
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
export type Stats = z.infer<typeof statsSchema>;
