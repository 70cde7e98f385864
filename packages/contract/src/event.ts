import { z } from 'zod';
import { jobEventTypeSchema } from './event-type.ts';
import { failureSchema } from './failure.ts';
import { endpointIdSchema, jobIdSchema } from './id.ts';

// The bodies of webhook deliveries (Standard Webhooks 1.0, thin payloads): what is signed and sent.

const timestampSchema = z.iso.datetime().describe('When it happened, the same on every attempt.');

export const jobEventSchema = z
  .object({
    type: jobEventTypeSchema,
    timestamp: timestampSchema,
    data: z.object({
      jobId: jobIdSchema,
      status: z.enum(['succeeded', 'partial', 'failed', 'canceled', 'expired']),
      metadata: z.record(z.string(), z.string()),
      pages: z.int().nullable(),
      result: z.string().nullable().describe('Path of the result, relative to the API.'),
      error: failureSchema.nullable(),
    }),
  })
  .meta({ id: 'JobEvent' });
export type JobEvent = z.infer<typeof jobEventSchema>;

/** Why an endpoint gets nothing: its owner wished so, its receiver answered 410, or it failed for days. */
export const disabledReasonSchema = z.enum(['requested', 'gone', 'failing']);
export type DisabledReason = z.infer<typeof disabledReasonSchema>;
const automaticReasonSchema = disabledReasonSchema.exclude(['requested']);
export type AutomaticReason = z.infer<typeof automaticReasonSchema>;

export const endpointDisabledEventSchema = z
  .object({
    type: z.literal('webhook.endpoint-disabled'),
    timestamp: timestampSchema,
    data: z.object({
      endpointId: endpointIdSchema,
      reason: automaticReasonSchema,
    }),
  })
  .meta({ id: 'EndpointDisabledEvent' });
export type EndpointDisabledEvent = z.infer<typeof endpointDisabledEventSchema>;

export const pingEventSchema = z
  .object({
    type: z.literal('webhook.ping'),
    timestamp: timestampSchema,
    data: z.object({ endpointId: endpointIdSchema }),
  })
  .meta({ id: 'PingEvent' });
export type PingEvent = z.infer<typeof pingEventSchema>;
