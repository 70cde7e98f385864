import { z } from 'zod';

/** How a queue stands. */
export const queueSchema = z
  .object({
    object: z.literal('queue'),
    name: z.enum(['documents', 'deliveries']),
    waiting: z.int().describe('Taken next by whoever is free.'),
    backlog: z
      .int()
      .describe(
        'Documents whose tenants’ turn is still to come; events of which no delivery has been made yet.',
      ),
    active: z.int().describe('In the hands of workers.'),
    delayed: z.int().describe('Put off, to be tried again.'),
    paused: z.boolean().describe('Whether workers take nothing more until it is resumed.'),
    oldestAgeSeconds: z.number().nullable().describe('How long the oldest waits already.'),
    ratePerSecond: z.number().describe('How many ended per second in the last minute.'),
  })
  .meta({ id: 'Queue' });
export type Queue = z.infer<typeof queueSchema>;
