import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { eventSchema } from '@glyphmill/contract/event';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { App } from './dependencies.ts';
import { pruneComponents } from './openapi-prune.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Bodies of a route that reads them itself, by media type. */
    bodies?: Record<string, z.ZodType>;
  }
}

/** The page loads from here only, and asks here only. */
const contentSecurityPolicy = {
  'default-src': "'self'",
  'base-uri': "'self'",
  'frame-ancestors': "'none'",
  'img-src': ["'self'", 'data:'],
  'object-src': "'none'",
  // Swagger UI styles its elements one by one; scripts stay limited to our own files.
  'style-src': ["'self'", "'unsafe-inline'"],
};

const description = `Submit documents, poll or wait for them, or be told by a webhook. Errors are RFC 9457
problems whose \`code\` is stable. Unknown fields are refused.`;

/** Documents every route that is added after it: `/openapi.json` and `/docs`. */
export async function addOpenapi(app: App, { publicUrl }: { publicUrl: string | undefined }): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: { title: 'Glyphmill', version: '1', description },
      servers: [{ url: publicUrl ?? '/' }],
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, gm_<id>_<secret>.' },
        },
      },
      webhooks: { jobEnded: { post: jobEndedWebhook } },
    },
    transform: (document) => {
      const { schema, url } = jsonSchemaTransform(document);
      const { scope, bodies } = document.route.config ?? {};
      const body = bodies && {
        content: Object.fromEntries(
          Object.entries(bodies).map(([type, zodSchema]) => [
            type,
            { schema: jsonSchemaTransform({ ...document, schema: { body: zodSchema } }).schema.body },
          ]),
        ),
      };
      const security = scope === 'public' || scope === undefined ? [] : [{ apiKey: [scope] }];
      return { schema: { ...schema, security, ...(body ? { body } : {}) }, url };
    },
    transformObject: (document) => pruneComponents(jsonSchemaTransformObject(document)),
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: contentSecurityPolicy,
    // No public service is asked to validate our document, and no bar asks for another one.
    uiConfig: { validatorUrl: null, layout: 'BaseLayout' },
  });
  app.get('/openapi.json', { config: { scope: 'public' }, schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(app.swagger()),
  );
}

const header = (name: string, text: string) => ({
  name,
  in: 'header' as const,
  required: true,
  description: text,
  schema: { type: 'string' as const },
});

const jobEndedWebhook = {
  operationId: 'jobEnded',
  summary: 'A job has ended',
  description:
    'Signed as Standard Webhooks 1.0. Any 2xx within 15 seconds is success; else it is sent again.',
  security: [],
  parameters: [
    header('webhook-id', 'The same on every attempt at one event.'),
    header('webhook-timestamp', 'Seconds since 1970 of this attempt.'),
    header('webhook-signature', 'v1,<base64 of the HMAC-SHA256 of id.timestamp.body>'),
  ],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: { $ref: `#/components/schemas/${z.globalRegistry.get(eventSchema)?.id}` },
      },
    },
  },
  responses: { '2XX': { description: 'The event is yours.' } },
};
