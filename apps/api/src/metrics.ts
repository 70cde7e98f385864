import type { JobStore } from '@glyphmill/queue/job-store';
import type { ScalingSettings } from '@glyphmill/queue/scaling';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { addQueueMetrics } from './queue-metrics.ts';

export interface ApiMetrics {
  registry: Registry;
  requestDuration: Histogram<'route' | 'method' | 'status'>;
  refused: Counter<'reason'>;
  admissionRefused: Counter<'reason'>;
  eventStreams: Gauge;
}

/** Of what there was too little; shown from the first scrape on, so that the first refusal is an increase. */
const refusalReasons = [
  'depth',
  'memory',
  'quota-jobs',
  'quota-pages',
  'quota-megapixels',
  'batches',
  'redis-policy',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** The API's metrics, those of the queue included. */
export function createMetrics(
  jobs: Pick<JobStore, 'scaling' | 'queueState'>,
  scaling: ScalingSettings,
): ApiMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  addQueueMetrics(registry, jobs, scaling);
  const admissionRefused = new Counter({
    name: 'ocr_admission_refused_total',
    help: 'Jobs and batches refused for want of room: by depth, memory, a tenant’s quota, batches, or the policy of Redis.',
    labelNames: ['reason'],
    registers: [registry],
  });
  for (const reason of refusalReasons) admissionRefused.inc({ reason }, 0);
  return {
    registry,
    requestDuration: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from a request’s first byte to the end of its answer.',
      labelNames: ['route', 'method', 'status'],
      // Up to the longest wait that a caller may ask for.
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60],
      registers: [registry],
    }),
    eventStreams: new Gauge({
      name: 'ocr_api_event_streams',
      help: 'Event streams that are open.',
      registers: [registry],
    }),
    admissionRefused,
    refused: new Counter({
      name: 'ocr_api_refused_total',
      help: 'Requests answered with a problem, by its code.',
      labelNames: ['reason'],
      registers: [registry],
    }),
  };
}
