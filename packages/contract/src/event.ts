import { z } from 'zod';
import { failureSchema } from './failure.ts';
import { eventIdSchema, jobIdSchema } from './id.ts';
import { eventTypeSchema } from './request.ts';

/** The body of a webhook delivery (Standard Webhooks 1.0, thin payload). */
export const eventSchema = z
  .object({
    type: eventTypeSchema,
    timestamp: z.iso.datetime(),
    data: z.object({
      jobId: jobIdSchema,
      status: z.enum(['succeeded', 'partial', 'failed', 'canceled', 'expired']),
      metadata: z.record(z.string(), z.string()),
      pages: z.int().nullable(),
      result: z.string().nullable().describe('Path of the result, relative to the API.'),
      error: failureSchema.nullable(),
    }),
  })
  .meta({ id: 'Event' });
export type Event = z.infer<typeof eventSchema>;

/** One event bound for one address: what the outbox holds from the job's commit until it is delivered. */
export const deliverySchema = z.object({
  id: eventIdSchema.describe('The webhook-id, the same on every attempt.'),
  tenant: z.string(),
  url: z.string(),
  body: z.string().describe('The event as JSON, signed and sent as these bytes.'),
});
export type Delivery = z.infer<typeof deliverySchema>;
