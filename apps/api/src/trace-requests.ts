import { type OpenSpan, parseTraceparent, type Tracing } from '@glyphmill/service/tracing';
import type { App } from './dependencies.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Where the request's own work belongs in a trace: below its span, or below the caller's while tracing is off. */
    traceparent: string | null;
    span: OpenSpan | null;
  }
}

/** A span for each request, below the caller's where it sent a `traceparent` (W3C Trace Context). Probes get none. */
export function addTracing(app: App, tracing: Tracing): void {
  app.decorateRequest('traceparent', null);
  app.decorateRequest('span', null);
  app.addHook('onRequest', async (request) => {
    const { method, routeOptions } = request;
    const parent = parseTraceparent(request.headers.traceparent);
    request.traceparent = parent;
    if (!tracing.isOn || routeOptions.config.scope === 'public') return;
    const route = routeOptions.url ?? 'none';
    request.span = tracing.begin({
      name: `${method} ${route}`,
      kind: 'server',
      parent,
      attributes: { 'http.request.method': method, 'http.route': route, 'glyphmill.request.id': request.id },
    });
    request.traceparent = request.span.traceparent;
  });
  app.addHook('onResponse', async ({ span }, { statusCode }) =>
    span?.end({
      attributes: { 'http.response.status_code': statusCode },
      ...(statusCode >= 500 && { error: String(statusCode) }),
    }),
  );
}
