import type { AttemptEnd, DeliveryReport } from '@glyphmill/queue/delivery-outcome';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What the gauges show, read when they are. */
export interface Backlog {
  counts(): Promise<{ waiting: number; delayed: number }>;
  oldestInOutboxMs(): Promise<number>;
}

export interface Metrics {
  registry: Registry;
  attempted(report: DeliveryReport): void;
}

/** While Redis is away its commands wait; a scrape shows the other metrics after this long. */
const backlogDeadlineMs = 1000;

export function createMetrics(backlog: Backlog, shard: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const attempts = new Counter({
    name: 'ocr_webhook_deliveries_total',
    help: 'Delivery attempts by how they ended: delivered, retry (another follows), given-up (none follows).',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['delivered', 'retry', 'given-up']) attempts.inc({ outcome }, 0);
  const failures = new Counter({
    name: 'ocr_webhook_failures_total',
    help: 'Failed delivery attempts by their cause; http-3xx to http-5xx are answers.',
    labelNames: ['cause'],
    registers,
  });
  const disabled = new Counter({
    name: 'ocr_webhook_endpoints_disabled_total',
    help: 'Endpoints disabled because their receiver was gone (410) or had failed for days.',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of ['gone', 'failing']) disabled.inc({ reason }, 0);
  const durations = new Histogram({
    name: 'ocr_webhook_delivery_duration_seconds',
    help: 'Time of one delivery attempt.',
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 15, 30, 60],
    registers,
  });
  new Gauge({
    name: 'ocr_webhook_deliveries',
    help: 'Deliveries that wait for a place (waiting) or for their time (delayed).',
    labelNames: ['state'],
    registers,
    async collect() {
      const counts = await within(backlogDeadlineMs, backlog.counts());
      this.reset();
      if (counts === undefined) return;
      this.set({ state: 'waiting' }, counts.waiting);
      this.set({ state: 'delayed' }, counts.delayed);
    },
  });
  new Gauge({
    name: 'ocr_webhook_outbox_oldest_seconds',
    help: 'Age of the oldest event that no relay has moved to the deliveries yet; 0 when there is none.',
    // Without labels a gauge shows 0 by itself, which would claim an empty outbox while Redis is away.
    labelNames: ['shard'],
    registers,
    async collect() {
      const oldestMs = await within(backlogDeadlineMs, backlog.oldestInOutboxMs());
      this.reset();
      if (oldestMs !== undefined) this.set({ shard }, oldestMs / 1000);
    },
  });
  return {
    registry,
    attempted({ end, durationMs, disabled: reason }) {
      attempts.inc({ outcome: end.ended });
      durations.observe(durationMs / 1000);
      if (end.ended !== 'delivered') failures.inc({ cause: causeOf(end) });
      if (reason !== undefined) disabled.inc({ reason });
    },
  };
}

function causeOf({ cause, statusCode = 0 }: Exclude<AttemptEnd, { ended: 'delivered' }>): string {
  return cause === 'status' ? `http-${Math.floor(statusCode / 100)}xx` : cause;
}

async function within<T>(deadlineMs: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } catch {
    // Redis failed; readiness says so, and a gauge that is missing claims nothing.
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
