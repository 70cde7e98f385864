import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { requestLimits } from '@glyphmill/contract/request';
import { traceIdOf } from '@glyphmill/service/tracing';
import { fastify, LogController } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { addAuthentication } from './authenticate.ts';
import { addBatchActionRoutes } from './batch-actions.ts';
import { addBatchItemRoutes } from './batch-items.ts';
import { addBatchRoutes } from './batches.ts';
import { answerClientError } from './client-error.ts';
import { addCors } from './cors.ts';
import { addDeadLetterRoutes } from './dead-letters.ts';
import type { App, Dependencies } from './dependencies.ts';
import { createErrorHandler } from './error-handler.ts';
import { createEventStreams } from './event-stream.ts';
import { addHealthRoutes } from './health.ts';
import { addJobActionRoutes } from './job-actions.ts';
import { addJobEventRoutes } from './job-events.ts';
import { addJobRoutes } from './jobs.ts';
import { addLimitRoutes } from './limits.ts';
import { addModelRoutes } from './models.ts';
import { addOpenapi } from './openapi.ts';
import { addPageRoutes } from './pages.ts';
import { addPlayground } from './playground.ts';
import { Problem } from './problem.ts';
import { addQueueRoutes } from './queues.ts';
import { addRecognizeRoute } from './recognize.ts';
import { addResultRoutes } from './results.ts';
import { addScalingRoutes } from './scaling.ts';
import { addStatsRoutes } from './stats.ts';
import { addTracing } from './trace-requests.ts';
import { addUploadRoutes } from './uploads.ts';
import { addUsageRoutes } from './usage.ts';
import { validatorCompiler } from './validation.ts';
import { addWebhookDeliveryRoutes } from './webhook-deliveries.ts';
import { addWebhookEndpointRoutes } from './webhook-endpoints.ts';
import { addWebhookSecretRoutes } from './webhook-secret.ts';

/** An inline document in base64, and room for the rest of the request. */
const jsonBodyBytes = Math.ceil(requestLimits.inlineBytes / 3) * 4 + 100_000;
const headersTimeoutMs = 15_000;
/** How often node looks for requests that take too long to arrive: its default of 30 s doubles short limits. */
const connectionCheckMs = 1000;
/** Longest silence on a connection while somebody waits for a job; more than the longest wait. */
const silenceMs = (requestLimits.waitSecondsMax + 30) * 1000;
const keepAliveMs = 72_000;
const maxConnections = 10_000;

/** The API, not yet listening. Closing it wakes whoever waits for a job, and ends event streams; it closes none of `dependencies`. */
export async function buildApp(dependencies: Dependencies): Promise<App> {
  const { config, log, metrics } = dependencies;
  const handleError = createErrorHandler(metrics);
  const app: App = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestIdOf,
    // What still arrives on a connection while closing is answered; then the connection is closed.
    return503OnClosing: false,
    bodyLimit: jsonBodyBytes,
    requestTimeout: config.requestTimeoutSeconds * 1000,
    connectionTimeout: silenceMs,
    keepAliveTimeout: keepAliveMs,
    http: {
      headersTimeout: Math.min(headersTimeoutMs, config.requestTimeoutSeconds * 1000),
      connectionsCheckingInterval: connectionCheckMs,
    },
    routerOptions: { maxParamLength: 100 },
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
    clientErrorHandler: (error: Error, socket: Socket) => answerClientError(error, socket),
  }).withTypeProvider<ZodTypeProvider>();
  app.server.maxConnections = maxConnections;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler(async (request) => {
    throw new Problem('not-found', { detail: `There is no ${request.method} here.` });
  });
  app.removeContentTypeParser('text/plain');

  const closing = new AbortController();
  // Every call that waits and every stream listens to it; their numbers have limits of their own.
  setMaxListeners(0, closing.signal);
  app.addHook('preClose', async () => closing.abort());
  // A connection kept alive would hold up the shutdown until its client goes.
  app.addHook('onSend', async (_request, reply) => {
    if (closing.signal.aborted) reply.header('connection', 'close');
  });
  const streams = createEventStreams(metrics, closing.signal);
  addTracing(app, dependencies.tracing);
  addObservation(app, dependencies);
  await addCors(app, { origins: config.corsOrigins });
  addAuthentication(app, dependencies);
  await addOpenapi(app, { publicUrl: config.publicUrl });
  addJobRoutes(app, dependencies, closing.signal);
  addJobEventRoutes(app, dependencies, streams);
  addJobActionRoutes(app, dependencies, closing.signal);
  addBatchRoutes(app, dependencies, closing.signal);
  addBatchActionRoutes(app, dependencies);
  addBatchItemRoutes(app, dependencies, closing.signal);
  addResultRoutes(app, dependencies);
  addPageRoutes(app, dependencies);
  addRecognizeRoute(app, dependencies, closing.signal);
  addModelRoutes(app, dependencies);
  addLimitRoutes(app, dependencies);
  addUploadRoutes(app, dependencies);
  addUsageRoutes(app, dependencies);
  addDeadLetterRoutes(app, dependencies);
  addQueueRoutes(app, dependencies);
  addScalingRoutes(app, dependencies);
  addStatsRoutes(app, dependencies);
  addWebhookEndpointRoutes(app, dependencies);
  addWebhookDeliveryRoutes(app, dependencies);
  addWebhookSecretRoutes(app, dependencies);
  addHealthRoutes(app, dependencies);
  if (config.playground) addPlayground(app);
  await app.ready();
  return app;
}

/** A caller's own request id if it can do no harm in a log, else a new one. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}

function addObservation(app: App, { metrics }: Dependencies): void {
  app.addHook('onRequest', async (request, reply) => {
    // Documents and their texts are nobody else's.
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'private, no-cache' });
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, apiKey } = request;
    const route = routeOptions.url ?? 'none';
    const labels = { route, method, status: String(reply.statusCode) };
    metrics.requestDuration.observe(labels, reply.elapsedTime / 1000);
    const durationMs = Math.round(reply.elapsedTime);
    // Probes come every few seconds and say nothing while all is well.
    const level = routeOptions.config?.scope === 'public' && reply.statusCode < 400 ? 'debug' : 'info';
    const traceId = traceIdOf(request.traceparent);
    request.log[level]({ ...labels, tenant: apiKey?.tenant, durationMs, traceId }, 'request answered');
  });
}
