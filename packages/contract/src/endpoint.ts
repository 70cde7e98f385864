import { z } from 'zod';
import { attemptSchema, deliveryStatusSchema } from './delivery.ts';
import { disabledReasonSchema } from './event.ts';
import { eventTypeSchema } from './event-type.ts';
import { deliveryIdSchema, endpointIdSchema, eventIdSchema } from './id.ts';
import { webhookLimits, webhookUrlSchema } from './webhook.ts';

const filterSchema = z
  .array(eventTypeSchema.exclude(['webhook.ping']))
  .min(1)
  .nullable()
  .describe('The events it gets; null for all, those to come included. A ping comes in any case.');

const descriptionSchema = z.string().max(webhookLimits.descriptionLength);

/** The body of `POST /v1/webhook-endpoints`. */
export const createEndpointSchema = z
  .strictObject({
    url: webhookUrlSchema,
    events: filterSchema.default(null),
    description: descriptionSchema.default(''),
    enabled: z.boolean().default(true),
  })
  .meta({ id: 'CreateWebhookEndpoint' });
export type CreateEndpoint = z.infer<typeof createEndpointSchema>;

/** The body of `PATCH /v1/webhook-endpoints/{id}`: what it leaves out stays as it is. */
export const updateEndpointSchema = z
  .strictObject({
    url: webhookUrlSchema.optional(),
    events: filterSchema.optional(),
    description: descriptionSchema.optional(),
    enabled: z.boolean().optional(),
  })
  .refine((changes) => Object.keys(changes).length > 0, 'expected at least one field to change')
  .meta({ id: 'UpdateWebhookEndpoint' });
export type UpdateEndpoint = z.infer<typeof updateEndpointSchema>;

const timeSchema = z.iso.datetime();

export const endpointSchema = z
  .object({
    object: z.literal('webhook-endpoint'),
    id: endpointIdSchema,
    url: z.string(),
    events: z.array(z.string()).nullable(),
    description: z.string(),
    enabled: z.boolean(),
    disabledReason: disabledReasonSchema
      .nullable()
      .describe(
        'requested: by PATCH; gone: its receiver answered 410; failing: for 5 days without a success.',
      ),
    disabledAt: timeSchema.nullable(),
    failingSince: timeSchema.nullable().describe('The first failure since the last success.'),
    createdAt: timeSchema,
  })
  .meta({ id: 'WebhookEndpoint' });
export type Endpoint = z.infer<typeof endpointSchema>;

export const endpointListSchema = z
  .object({ object: z.literal('list'), data: z.array(endpointSchema), nextCursor: z.null() })
  .meta({ id: 'WebhookEndpointList' });

/** The only two answers that show a secret: that to the creation, and that to a rotation. */
export const endpointWithSecretSchema = endpointSchema
  .extend({
    secret: z
      .string()
      .describe('Standard Webhooks: whsec_ and the key in base64. Shown here and never again.'),
    previousSecretExpiresAt: timeSchema
      .nullable()
      .describe('Until then deliveries are signed with the secret before as well.'),
  })
  .meta({ id: 'WebhookEndpointWithSecret' });

export const deliveryViewSchema = z
  .object({
    object: z.literal('webhook-delivery'),
    id: deliveryIdSchema,
    endpointId: endpointIdSchema,
    eventId: eventIdSchema.describe('The webhook-id.'),
    type: z.string(),
    status: deliveryStatusSchema,
    createdAt: timeSchema,
    nextAttemptAt: timeSchema.nullable(),
    attempts: z.array(attemptSchema).describe('The oldest first.'),
  })
  .meta({ id: 'WebhookDelivery' });
export type DeliveryView = z.infer<typeof deliveryViewSchema>;

export const deliveryListSchema = z
  .object({ object: z.literal('list'), data: z.array(deliveryViewSchema), nextCursor: z.null() })
  .meta({ id: 'WebhookDeliveryList' });
