import {
  createEndpointSchema,
  endpointListSchema,
  endpointSchema,
  endpointWithSecretSchema,
  updateEndpointSchema,
} from '@glyphmill/contract/endpoint';
import { endpointIdSchema, newId } from '@glyphmill/contract/id';
import { webhookLimits } from '@glyphmill/contract/webhook';
import type { EndpointRecord } from '@glyphmill/queue/endpoint-record';
import { createSecretSeal } from '@glyphmill/service/secret-seal';
import { newWebhookSecret } from '@glyphmill/service/webhook-secret';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { checkWebhookUrl } from './webhook-target.ts';
import { toEndpoint, toEndpointWithSecret } from './webhook-view.ts';

export const endpointParamsSchema = z.strictObject({ id: endpointIdSchema });

/** How long the secret before a rotation goes on to sign. */
const overlapMs = 24 * 3_600_000;

const bodyProblems = [
  ...readProblems,
  'invalid-json',
  'address-not-allowed',
  'payload-too-large',
  'unsupported-media-type',
] as const;

/** Webhook endpoints of a tenant: create, list, look at, change, delete, and give a new secret. */
export function addWebhookEndpointRoutes(app: App, dependencies: Dependencies): void {
  const { endpoints, config } = dependencies;
  const seal = createSecretSeal([config.webhookSigningKey]);
  const scoped = { config: { scope: 'webhooks:admin' } } as const;
  const tags = ['webhooks'];

  app.post(
    '/v1/webhook-endpoints',
    {
      ...scoped,
      schema: {
        operationId: 'createWebhookEndpoint',
        summary: 'Register an endpoint; the answer shows its secret, once',
        tags,
        body: createEndpointSchema,
        response: {
          201: endpointWithSecretSchema,
          ...problemResponses(...bodyProblems, 'endpoint-limit-reached', 'queue-full'),
        },
      },
    },
    async (request, reply) => {
      const { url, events, description, enabled } = request.body;
      checkWebhookUrl(dependencies, url);
      const { tenant } = callerOf(request);
      const id = newId('whk');
      const secret = newWebhookSecret();
      const nowMs = Date.now();
      const endpoint = {
        id,
        tenant,
        url,
        events,
        description,
        enabled,
        createdAtMs: nowMs,
        disabledReason: enabled ? null : ('requested' as const),
        disabledAtMs: enabled ? null : nowMs,
        failingSinceMs: null,
        sealedSecret: seal.seal(secret, id),
        previous: null,
      };
      if (!(await endpoints.create(endpoint, webhookLimits.endpoints))) throw tooMany();
      reply
        .code(201)
        .headers({ location: `${config.publicUrl ?? ''}/v1/webhook-endpoints/${id}`, ...unstored });
      return toEndpointWithSecret(endpoint, secret);
    },
  );

  app.get(
    '/v1/webhook-endpoints',
    {
      ...scoped,
      schema: {
        operationId: 'listWebhookEndpoints',
        summary: 'List your endpoints, the oldest first',
        tags,
        response: { 200: endpointListSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) => {
      const found = await endpoints.list(callerOf(request).tenant);
      return { object: 'list' as const, data: found.map(toEndpoint), nextCursor: null };
    },
  );

  app.get(
    '/v1/webhook-endpoints/:id',
    {
      ...scoped,
      schema: {
        operationId: 'getWebhookEndpoint',
        summary: 'Look at an endpoint',
        tags,
        params: endpointParamsSchema,
        response: { 200: endpointSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request) =>
      toEndpoint(await getEndpoint(dependencies, { ...request.params, tenant: callerOf(request).tenant })),
  );

  app.patch(
    '/v1/webhook-endpoints/:id',
    {
      ...scoped,
      schema: {
        operationId: 'updateWebhookEndpoint',
        summary: 'Change an endpoint, disable it, or enable it again',
        tags,
        params: endpointParamsSchema,
        body: updateEndpointSchema,
        response: { 200: endpointSchema, ...problemResponses(...bodyProblems) },
      },
    },
    async (request) => {
      const { body, params } = request;
      if (body.url !== undefined) checkWebhookUrl(dependencies, body.url);
      const { tenant } = callerOf(request);
      return toEndpoint(existing(await endpoints.update({ ...params, tenant }, body)));
    },
  );

  app.delete(
    '/v1/webhook-endpoints/:id',
    {
      ...scoped,
      schema: {
        operationId: 'deleteWebhookEndpoint',
        summary: 'Delete an endpoint, its secret and its log; what waits for it is given up',
        tags,
        params: endpointParamsSchema,
        response: { 204: z.undefined().describe('It is gone.'), ...problemResponses(...readProblems) },
      },
    },
    async (request, reply) => {
      const { tenant } = callerOf(request);
      if (!(await endpoints.remove({ ...request.params, tenant }))) throw noSuchEndpoint();
      return reply.code(204).send();
    },
  );

  app.post(
    '/v1/webhook-endpoints/:id/rotate-secret',
    {
      ...scoped,
      schema: {
        operationId: 'rotateWebhookSecret',
        summary: 'Give an endpoint a new secret; for 24 hours the one before signs too',
        tags,
        params: endpointParamsSchema,
        response: { 200: endpointWithSecretSchema, ...problemResponses(...readProblems) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const secret = newWebhookSecret();
      const sealedSecret = seal.seal(secret, id);
      const previousUntilMs = Date.now() + overlapMs;
      const { tenant } = callerOf(request);
      const endpoint = existing(await endpoints.rotate({ id, tenant }, { sealedSecret, previousUntilMs }));
      reply.headers(unstored);
      return toEndpointWithSecret(endpoint, secret);
    },
  );
}

/** An answer with a secret is for its reader alone. */
const unstored = { 'cache-control': 'no-store' };

/** The caller's endpoint. Throws not-found, also for another tenant's. */
export async function getEndpoint(
  { endpoints }: Pick<Dependencies, 'endpoints'>,
  address: { tenant: string; id: string },
): Promise<EndpointRecord> {
  return existing(await endpoints.get(address));
}

function existing(endpoint: EndpointRecord | undefined): EndpointRecord {
  if (endpoint === undefined) throw noSuchEndpoint();
  return endpoint;
}

function noSuchEndpoint(): Problem {
  return new Problem('not-found', { detail: 'There is no such webhook endpoint.' });
}

function tooMany(): Problem {
  return new Problem('endpoint-limit-reached', {
    detail: `There are ${webhookLimits.endpoints} webhook endpoints already, which is the most; delete one first.`,
  });
}
