import cors from '@fastify/cors';
import type { App } from './dependencies.ts';

const preflightSeconds = 600;

/**
 * Lets pages of these origins call the API from a browser; without any, none may. Keys come in a header and never
 * in a cookie, so no page can use what its visitor's browser keeps.
 */
export async function addCors(app: App, { origins }: { origins: readonly string[] }): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'if-none-match',
      'last-event-id',
      'prefer',
      'x-request-id',
    ],
    exposedHeaders: [
      'etag',
      'idempotent-replayed',
      'location',
      'preference-applied',
      'ratelimit',
      'ratelimit-policy',
      'retry-after',
      'x-request-id',
    ],
    maxAge: preflightSeconds,
  });
}
