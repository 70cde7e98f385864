import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import type { App } from './dependencies.ts';
import { pruneComponents } from './openapi-prune.ts';
import { openapiWebhooks } from './openapi-webhooks.ts';

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
      webhooks: openapiWebhooks,
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
