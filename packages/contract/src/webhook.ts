import { z } from 'zod';
import { jobEventTypeSchema } from './event-type.ts';
import { endpointIdSchema } from './id.ts';

export const webhookLimits = {
  urlLength: 2048,
  /** Endpoints of one tenant: each event may become as many deliveries. */
  endpoints: 20,
  descriptionLength: 256,
} as const;

/** Which addresses a URL may lead to is decided by the address guard, when it is given and at each delivery. */
export const webhookUrlSchema = z
  .url({ protocol: /^https?$/ })
  .max(webhookLimits.urlLength)
  .refine(
    (url) => URL.canParse(url) && new URL(url).username === '' && new URL(url).password === '',
    'expected no user name or password in the URL; every delivery is signed instead',
  );

/** One of these says who is told. */
export const receiverShape = {
  url: webhookUrlSchema.optional().describe('Signed with the secret of the tenant, GET /v1/webhook-secret.'),
  endpointIds: z
    .array(endpointIdSchema)
    .min(1)
    .max(webhookLimits.endpoints)
    .optional()
    .describe('Only these of the tenant’s endpoints, each with its own filter.'),
};
export const oneReceiver = [
  ({ url, endpointIds }: { url?: string | undefined; endpointIds?: string[] | undefined }) =>
    (url === undefined) !== (endpointIds === undefined),
  'expected either url or endpointIds',
] as const;

/** Who is told of a job's end, in place of all endpoints of the tenant. */
export const webhookSchema = z
  .strictObject({
    ...receiverShape,
    events: z
      .array(jobEventTypeSchema)
      .min(1)
      .optional()
      .describe('Only these events. Default: whatever end the job comes to.'),
  })
  .refine(...oneReceiver)
  .meta({ id: 'Webhook' });
export type Webhook = z.infer<typeof webhookSchema>;
