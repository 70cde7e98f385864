import { batchEventSchema } from '@glyphmill/contract/batch';
import { endpointDisabledEventSchema, jobEventSchema, pingEventSchema } from '@glyphmill/contract/event';
import { z } from 'zod';

const header = (name: string, text: string) => ({
  name,
  in: 'header' as const,
  required: true,
  description: text,
  schema: { type: 'string' as const },
});

const headers = [
  header('webhook-id', 'The same on every attempt at one event.'),
  header('webhook-timestamp', 'Seconds since 1970 of this attempt.'),
  header(
    'webhook-signature',
    'v1,<base64 of the HMAC-SHA256 of id.timestamp.body>; after a rotation two of them, separated by a space.',
  ),
];

const delivery = `Signed as Standard Webhooks 1.0. Any 2xx within 15 seconds is success; else it is sent again for
a day. 410 disables the endpoint.`;

function webhook({ name, summary, schema }: { name: string; summary: string; schema: z.ZodType }) {
  const $ref = `#/components/schemas/${z.globalRegistry.get(schema)?.id}`;
  return {
    post: {
      operationId: name,
      summary,
      description: delivery,
      tags: ['webhooks'],
      security: [],
      parameters: headers,
      requestBody: { required: true, content: { 'application/json': { schema: { $ref } } } },
      responses: { '2XX': { description: 'The event is yours.' } },
    },
  };
}

/** What we send to receivers, in place of what they send to us. */
export const openapiWebhooks = {
  jobEnded: webhook({
    name: 'jobEnded',
    summary: 'A job has ended: its type says how',
    schema: jobEventSchema,
  }),
  batchCompleted: webhook({
    name: 'batchCompleted',
    summary: 'All jobs of a batch have been made and have ended',
    schema: batchEventSchema,
  }),
  endpointDisabled: webhook({
    name: 'endpointDisabled',
    summary: 'Another of your endpoints was disabled, since its receiver is gone or failed for days',
    schema: endpointDisabledEventSchema,
  }),
  ping: webhook({
    name: 'ping',
    summary: 'You asked for a test of this endpoint',
    schema: pingEventSchema,
  }),
};
