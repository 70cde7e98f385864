import { readFileSync } from 'node:fs';
import { startDeliveryConsumer } from '@glyphmill/queue/deliveries';
import type { DeliveryReport } from '@glyphmill/queue/delivery-outcome';
import { startOutboxRelay } from '@glyphmill/queue/outbox';
import { createAddressGuard } from '@glyphmill/service/address-guard';
import { checkReadiness } from '@glyphmill/service/health';
import type { Logger } from '@glyphmill/service/logger';
import { startMetricsServer } from '@glyphmill/service/metrics-server';
import { openTracing, preciseNowMs, type Tracing, traceIdOf } from '@glyphmill/service/tracing';
import { z } from 'zod';
import { createResolver, type ResolveName } from './address.ts';
import type { WebhookConfig } from './config.ts';
import { type DeliverOptions, deliver } from './deliver.ts';
import { createMetrics } from './metrics.ts';
import { type Claim, createPlaceLimit } from './place-limit.ts';
import { createSchedule, type Schedule, standardDelaysMs } from './schedule.ts';
import { createSecretsOf } from './secrets.ts';

export interface WebhookApp {
  metricsPort: number;
  /** Takes nothing more and resolves when the attempts on the way have ended. */
  close(): Promise<void>;
}

/** How much of the places one of them may take: what is left is for all others. */
const shares = { endpoint: 0.25, host: 0.5, tenant: 0.5 } as const;

/** Moves events from the outbox and delivers them until closed. Throws when Redis cannot be reached. */
export async function startWebhookApp({
  config,
  log,
  schedule = createSchedule(standardDelaysMs, Math.random),
  resolve = createResolver(),
}: {
  config: WebhookConfig;
  log: Logger;
  schedule?: Schedule;
  resolve?: ResolveName;
}): Promise<WebhookApp> {
  const address = { url: config.redisUrl, shard: config.redisShard };
  const onError = (err: Error) => log.error({ err }, 'trouble with the queue of deliveries');
  const options = deliverOptions(config, { resolve, onError });
  const relay = await startOutboxRelay({ address, attempts: schedule.attempts, onError });
  const backlog = { counts: () => consumer.counts(), oldestInOutboxMs: relay.oldestMs };
  const metrics = createMetrics(backlog, config.redisShard);
  const tracing = openTracing(config, 'webhook');
  const consumer = await startDeliveryConsumer({
    address,
    concurrency: config.concurrency,
    deliver: (delivery, target) => deliver(delivery, target, options),
    scheduleMs: schedule.delayMs,
    onAttempt: (report) => {
      metrics.attempted(report);
      traceAttempt(tracing, report);
      logAttempt(log, report);
    },
    onError,
  });
  const server = await startMetricsServer({
    host: config.metricsHost,
    port: config.metricsPort,
    registry: metrics.registry,
    isLive: () => true,
    readiness: () =>
      checkReadiness({ redis: () => consumer.ping().then(() => ({ ok: true, detail: 'up' })) }),
  });
  return {
    metricsPort: server.port,
    async close() {
      await Promise.all([relay.close(), consumer.close()]);
      await server.close();
      await tracing.close();
    },
  };
}

function deliverOptions(
  config: WebhookConfig,
  { resolve, onError }: { resolve: ResolveName; onError: (error: Error) => void },
): DeliverOptions {
  const { signingKey, previousSigningKey } = config;
  return {
    secretsOf: createSecretsOf({
      roots: previousSigningKey === undefined ? [signingKey] : [signingKey, previousSigningKey],
      onError,
    }),
    allowHttp: config.allowHttp,
    timeoutMs: config.timeoutSeconds * 1000,
    userAgent: `Glyphmill/${version()}`,
    guard: createAddressGuard({ allowedCidrs: config.allowedCidrs }),
    resolve,
    places: createPlaceLimit({ nowMs: () => performance.now() }),
    claimsOf: ({ tenant, target, host }) => {
      const claim = (of: keyof typeof shares, name: string): Claim => ({
        name: `${of} ${name}`,
        places: Math.floor(config.concurrency * shares[of]),
      });
      // The addresses that jobs name themselves are many and lead to few receivers.
      const endpoint = target.endpoint?.id ?? `${tenant} at ${host}`;
      return [claim('endpoint', endpoint), claim('host', host), claim('tenant', tenant)];
    },
  };
}

/** A span for each attempt, below the request that submitted the job. */
function traceAttempt(tracing: Tracing, { delivery, attempt, end, durationMs }: DeliveryReport) {
  const { traceparent, eventId, type } = delivery;
  if (traceparent === undefined) return;
  const attributes = {
    'glyphmill.event.id': eventId,
    'glyphmill.event.type': type,
    'glyphmill.attempt': attempt,
  };
  const startMs = preciseNowMs() - durationMs;
  tracing.begin({ name: 'deliver', kind: 'client', parent: traceparent, startMs, attributes }).end({
    attributes: { 'glyphmill.outcome': end.ended },
    ...(end.ended !== 'delivered' && { error: end.cause }),
  });
}

/** Of the URL only the host: its path and query may hold secrets. */
function logAttempt(log: Logger, report: DeliveryReport) {
  const { delivery, url, attempt, end, durationMs, disabled } = report;
  const { eventId, tenant, type, target } = delivery;
  const endpointId = target.kind === 'endpoint' ? target.endpointId : undefined;
  const host = url !== null && URL.canParse(url) ? new URL(url).host : undefined;
  const { ended: outcome, ...facts } = end;
  const level = outcome === 'given-up' ? 'warn' : 'info';
  log[level](
    {
      eventId,
      traceId: traceIdOf(delivery.traceparent),
      event: type,
      tenant,
      endpointId,
      host,
      outcome,
      attempt,
      ...facts,
      durationMs,
    },
    'delivery attempt',
  );
  if (disabled !== undefined) log.warn({ endpointId, tenant, reason: disabled }, 'webhook endpoint disabled');
}

function version(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return z.object({ version: z.string() }).parse(json).version;
}
