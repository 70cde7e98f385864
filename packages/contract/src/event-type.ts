import { z } from 'zod';

/** The ends of a job: `job.` and its final status. */
const jobEventTypes = ['job.succeeded', 'job.partial', 'job.failed', 'job.canceled', 'job.expired'] as const;

/**
 * All that webhooks tell of; a new event is added here. Senders and receivers of deliveries take the type as
 * a plain string, so that an older process passes on what a newer one tells.
 */
const eventTypes = [
  ...jobEventTypes,
  'batch.completed',
  'webhook.endpoint-disabled',
  'webhook.ping',
] as const;

export const eventTypeSchema = z.enum(eventTypes);
export type EventType = z.infer<typeof eventTypeSchema>;
export const jobEventTypeSchema = z.enum(jobEventTypes);
