import { z } from 'zod';
import { deliveryIdSchema, endpointIdSchema, eventIdSchema } from './id.ts';

/**
 * What happened, as the outbox holds it from the step that made it happen until its deliveries are queued.
 * It is bound for `url`, or for the endpoints in `endpointIds`; without either for all endpoints of the tenant.
 */
export const outboxEventSchema = z.object({
  id: eventIdSchema.describe('The webhook-id, the same on every attempt of every delivery.'),
  tenant: z.string(),
  type: z.string(),
  body: z.string().describe('The event as JSON, signed and sent as these bytes.'),
  url: z.string().nullable(),
  endpointIds: z.array(z.string()).nullable(),
  redelivery: z
    .string()
    .optional()
    .describe('Set when the event is sent once more because its receiver’s owner asked: names this sending.'),
  traceparent: z.string().optional(),
});
export type OutboxEvent = z.infer<typeof outboxEventSchema>;

const targetSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('url'), url: z.string() }),
  z.object({ kind: z.literal('endpoint'), endpointId: endpointIdSchema }),
]);

/** One event bound for one receiver. */
export const deliverySchema = z.object({
  id: deliveryIdSchema,
  eventId: eventIdSchema,
  tenant: z.string(),
  type: z.string(),
  body: z.string(),
  target: targetSchema,
  traceparent: z.string().optional(),
});
export type Delivery = z.infer<typeof deliverySchema>;

export const attemptSchema = z.object({
  at: z.iso.datetime(),
  statusCode: z.int().nullable().describe('Null when no answer came.'),
  error: z.string().nullable().describe('Null after a success.'),
  durationMs: z.int(),
});
export type DeliveryAttempt = z.infer<typeof attemptSchema>;

export const deliveryStatusSchema = z
  .enum(['pending', 'delivered', 'given-up'])
  .describe('pending: another attempt follows; given-up: none does.');
export type DeliveryStatus = z.infer<typeof deliveryStatusSchema>;
