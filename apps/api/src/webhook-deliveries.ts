import { deliveryListSchema, deliveryViewSchema } from '@glyphmill/contract/endpoint';
import { deliveryIdSchema } from '@glyphmill/contract/id';
import type { EndpointRecord } from '@glyphmill/queue/endpoint-record';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { endpointParamsSchema, getEndpoint } from './webhook-endpoints.ts';
import { toDelivery } from './webhook-view.ts';

const sendProblems = [...readProblems, 'invalid-state', 'queue-full'] as const;

/** What was delivered to an endpoint: look at it, send it again, or send a ping to see. */
export function addWebhookDeliveryRoutes(app: App, dependencies: Dependencies): void {
  const { endpoints } = dependencies;
  const scoped = { config: { scope: 'webhooks:admin' } } as const;
  const tags = ['webhooks'];

  app.post(
    '/v1/webhook-endpoints/:id/test',
    {
      ...scoped,
      schema: {
        operationId: 'testWebhookEndpoint',
        summary: 'Send a webhook.ping; the endpoint’s deliveries show it from its first attempt on',
        tags,
        params: endpointParamsSchema,
        response: { 202: deliveryViewSchema, ...problemResponses(...sendProblems) },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const endpoint = requireEnabled(await getEndpoint(dependencies, { ...request.params, tenant }));
      reply.code(202);
      return toDelivery(await endpoints.ping(endpoint), endpoint.id);
    },
  );

  app.get(
    '/v1/webhook-endpoints/:id/deliveries',
    {
      ...scoped,
      schema: {
        operationId: 'listWebhookDeliveries',
        summary: 'The deliveries last attempted: 100 at most, of the last 7 days',
        tags,
        params: endpointParamsSchema,
        response: { 200: deliveryListSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const { tenant } = callerOf(request);
      const { id } = await getEndpoint(dependencies, { ...request.params, tenant });
      const data = (await endpoints.deliveries(id)).map((logged) => toDelivery(logged, id));
      return { object: 'list' as const, data, nextCursor: null };
    },
  );

  app.post(
    '/v1/webhook-deliveries/:id/redeliver',
    {
      ...scoped,
      schema: {
        operationId: 'redeliverWebhook',
        summary: 'Send a delivery of an endpoint’s list once more, under the same webhook-id',
        tags,
        params: z.strictObject({ id: deliveryIdSchema }),
        response: { 202: deliveryViewSchema, ...problemResponses(...sendProblems) },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      const logged = await endpoints.delivery(tenant, request.params.id);
      if (logged?.delivery.target.kind !== 'endpoint') {
        throw new Problem('not-found', { detail: 'There is no such delivery, or it is no longer kept.' });
      }
      const { endpointId } = logged.delivery.target;
      requireEnabled(await getEndpoint(dependencies, { id: endpointId, tenant }));
      reply.code(202);
      return toDelivery(await endpoints.redeliver(logged, endpointId), endpointId);
    },
  );
}

function requireEnabled(endpoint: EndpointRecord): EndpointRecord {
  if (endpoint.enabled) return endpoint;
  throw new Problem('invalid-state', {
    detail: `The endpoint is disabled (${endpoint.disabledReason}); enable it with PATCH first.`,
  });
}
