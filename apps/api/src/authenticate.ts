import { type ApiKeyEntry, findApiKey, hasScope, type Scope } from '@glyphmill/service/api-key';
import type { FastifyRequest } from 'fastify';
import type { App, Dependencies } from './dependencies.ts';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller's key must allow; `public` needs no key. A route that says nothing does not start. */
    scope?: Scope | 'public';
  }
  interface FastifyRequest {
    apiKey: ApiKeyEntry | null;
  }
}

const challenge = { 'www-authenticate': 'Bearer realm="glyphmill"' };

/** Lets only those requests reach a route whose key has the route's scope, before a body is read. */
export function addAuthentication(app: App, { keys }: Pick<Dependencies, 'keys'>): void {
  app.decorateRequest('apiKey', null);
  app.addHook('onRoute', ({ url, config }) => {
    if (url.startsWith('/v1/') && config?.scope === undefined) {
      throw new Error(`the route ${url} must name its scope`);
    }
  });
  app.addHook('onRequest', async (request) => {
    const { scope = 'public' } = request.routeOptions.config;
    if (scope === 'public') return;
    request.apiKey = authenticate(keys(), request.headers.authorization);
    if (!hasScope(request.apiKey.scopes, scope)) {
      throw new Problem('insufficient-scope', { detail: `This call needs a key with the scope ${scope}.` });
    }
  });
}

/** The key of the request's caller. */
export function callerOf(request: FastifyRequest): ApiKeyEntry {
  if (request.apiKey === null) throw new Error('expected an authenticated request');
  return request.apiKey;
}

function authenticate(
  keys: ReadonlyMap<string, ApiKeyEntry>,
  authorization: string | undefined,
): ApiKeyEntry {
  const key = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  const entry = key === undefined ? undefined : findApiKey(keys, key);
  if (entry !== undefined) return entry;
  throw new Problem('unauthenticated', {
    detail:
      key === undefined
        ? 'Send an API key as "Authorization: Bearer gm_…".'
        : 'This API key is not known; it may have been withdrawn.',
    headers: challenge,
  });
}
