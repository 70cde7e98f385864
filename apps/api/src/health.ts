import { z } from 'zod';
import type { App, Dependencies } from './dependencies.ts';

const liveSchema = z.object({ live: z.boolean() }).meta({ id: 'Live' });

const readySchema = z
  .object({
    ready: z.boolean(),
    checks: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() })),
  })
  .meta({ id: 'Ready' });

/** For load balancers; nothing here needs a key. */
export function addHealthRoutes(app: App, { readiness }: Dependencies): void {
  app.get(
    '/livez',
    {
      config: { scope: 'public' },
      schema: {
        operationId: 'live',
        summary: 'Whether it runs',
        tags: ['service'],
        response: { 200: liveSchema },
      },
    },
    async () => ({ live: true }),
  );

  app.get(
    '/readyz',
    {
      config: { scope: 'public' },
      schema: {
        operationId: 'ready',
        summary: 'Whether it can do its work',
        tags: ['service'],
        response: { 200: readySchema, 503: readySchema },
      },
    },
    async (_request, reply) => {
      const found = await readiness();
      return reply.code(found.ready ? 200 : 503).send(found);
    },
  );
}
