import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { problemResponses } from './problem.ts';

const webhookSecretSchema = z
  .object({
    object: z.literal('webhook-secret'),
    secret: z.string().describe('Standard Webhooks: whsec_ and the key in base64.'),
  })
  .meta({ id: 'WebhookSecret' });

/** What a receiver needs to verify our webhooks. */
export function addWebhookSecretRoutes(app: App, { config }: Dependencies): void {
  app.get(
    '/v1/webhook-secret',
    {
      config: { scope: 'webhooks:admin' },
      schema: {
        operationId: 'getWebhookSecret',
        summary: 'The secret that signs webhooks to addresses that your jobs name themselves',
        tags: ['webhooks'],
        response: { 200: webhookSecretSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => ({
      object: 'webhook-secret' as const,
      secret: tenantWebhookSecret(config.webhookSigningKey, callerOf(request).tenant),
    }),
  );
}
