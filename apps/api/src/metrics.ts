import type { JobStore } from '@glyphmill/queue/job-store';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface ApiMetrics {
  registry: Registry;
  requestDuration: Histogram<'route' | 'method' | 'status'>;
  refused: Counter<'reason'>;
  eventStreams: Gauge;
}

/** The API's metrics; the queue is asked how long it is when somebody scrapes. */
export function createMetrics(jobs: Pick<JobStore, 'counts'>): ApiMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'ocr_queue_jobs',
    help: 'Jobs in the queue by state; absent while the queue cannot be reached.',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      this.reset();
      // A scrape must answer also while Redis is away: that is when people look.
      const counts = await jobs.counts().catch(() => ({}));
      for (const [state, count] of Object.entries(counts)) this.set({ state }, count);
    },
  });
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
    refused: new Counter({
      name: 'ocr_api_refused_total',
      help: 'Requests answered with a problem, by its code.',
      labelNames: ['reason'],
      registers: [registry],
    }),
  };
}
