import { readFileSync } from 'node:fs';
import { type DeliveryReport, startDeliveryConsumer } from '@glyphmill/queue/deliveries';
import { startOutboxRelay } from '@glyphmill/queue/outbox';
import { createAddressGuard } from '@glyphmill/service/address-guard';
import { checkReadiness } from '@glyphmill/service/health';
import type { Logger } from '@glyphmill/service/logger';
import { startMetricsServer } from '@glyphmill/service/metrics-server';
import { z } from 'zod';
import { createResolver, type ResolveName } from './address.ts';
import type { WebhookConfig } from './config.ts';
import { type DeliverOptions, deliver } from './deliver.ts';
import { createHostLimit } from './host-limit.ts';
import { createMetrics } from './metrics.ts';
import { createSchedule, type Schedule, standardDelaysMs } from './schedule.ts';

export interface WebhookApp {
  metricsPort: number;
  /** Takes nothing more and resolves when the attempts on the way have ended. */
  close(): Promise<void>;
}

/** One host may take this share of the places; the others are left to all other hosts. */
const hostShare = 0.25;

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
  const options = deliverOptions(config, resolve);
  const relay = await startOutboxRelay({ address, attempts: schedule.attempts, onError });
  const backlog = { counts: () => consumer.counts(), oldestInOutboxMs: relay.oldestMs };
  const metrics = createMetrics(backlog, config.redisShard);
  const consumer = await startDeliveryConsumer({
    address,
    concurrency: config.concurrency,
    deliver: (delivery) => deliver(delivery, options),
    scheduleMs: schedule.delayMs,
    onAttempt: (report) => {
      metrics.attempted(report);
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
    },
  };
}

function deliverOptions(config: WebhookConfig, resolve: ResolveName): DeliverOptions {
  const perHost = Math.floor(config.concurrency * hostShare);
  return {
    signingKey: config.signingKey,
    allowHttp: config.allowHttp,
    timeoutMs: config.timeoutSeconds * 1000,
    userAgent: `Glyphmill/${version()}`,
    guard: createAddressGuard({ allowedCidrs: config.allowedCidrs }),
    resolve,
    hostLimit: createHostLimit({ perHost, nowMs: () => performance.now() }),
  };
}

/** Of the URL only the host: its path and query may hold secrets. */
function logAttempt(
  log: Logger,
  { delivery, attempt, ended, reason, retryInMs, durationMs }: DeliveryReport,
) {
  const { id, tenant, url } = delivery;
  const host = URL.canParse(url) ? new URL(url).host : '';
  const fields = { eventId: id, tenant, host, outcome: ended, attempt, reason, retryInMs, durationMs };
  if (ended === 'given-up') log.warn(fields, 'delivery attempt');
  else log.info(fields, 'delivery attempt');
}

function version(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return z.object({ version: z.string() }).parse(json).version;
}
