import { createServer } from 'node:http';
import type { Registry } from 'prom-client';
import type { Readiness } from './health.ts';
import { listen } from './listen.ts';

export interface MetricsServerOptions {
  host: string;
  port: number;
  registry: Registry;
  /** False once the process makes no progress any more: the platform then restarts it. */
  isLive: () => boolean;
  readiness: () => Promise<Readiness>;
}

/** Serves `/metrics`, `/livez` and `/readyz`, apart from the port that users reach. */
export async function startMetricsServer(
  options: MetricsServerOptions,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    answer(request.url ?? '/', options)
      .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body))
      .catch((error: unknown) =>
        response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error)),
      );
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 5000;
  const port = await listen(server, options);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(url: string, { registry, isLive, readiness }: MetricsServerOptions) {
  switch (new URL(url, 'http://host').pathname) {
    case '/metrics':
      return { status: 200, type: registry.contentType, body: await registry.metrics() };
    case '/livez':
      return json(isLive() ? 200 : 503, { live: isLive() });
    case '/readyz': {
      const found = await readiness();
      return json(found.ready ? 200 : 503, found);
    }
    default:
      return json(404, { paths: ['/metrics', '/livez', '/readyz'] });
  }
}

function json(status: number, body: object) {
  return { status, type: 'application/json', body: JSON.stringify(body) };
}
