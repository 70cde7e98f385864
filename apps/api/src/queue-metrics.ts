import type { JobStore } from '@glyphmill/queue/job-store';
import type { ScalingSettings } from '@glyphmill/queue/scaling';
import { Gauge, type Registry } from 'prom-client';

type Queue = Pick<JobStore, 'scaling' | 'queueState'>;
type Reading = Awaited<ReturnType<ReturnType<typeof createReader>>>;

/**
 * How the queue stands, asked for when somebody scrapes. Every API process shows the same, so that sums over them mean
 * nothing. While the queue cannot be reached the gauges are absent: 0 would claim that nothing waits.
 */
export function addQueueMetrics(registry: Registry, queue: Queue, settings: ScalingSettings): void {
  const read = sharing(createReader(queue, settings));
  const gauge = (
    name: string,
    help: string,
    valuesOf: (reading: Reading) => Record<string, number>,
    label = 'queue',
  ) =>
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      async collect() {
        this.reset();
        // A scrape must answer also while Redis is away: that is when people look.
        const reading = await read().catch(() => undefined);
        if (reading === undefined) return;
        for (const [value, count] of Object.entries(valuesOf(reading))) this.set({ [label]: value }, count);
      },
    });
  const ofDocuments = (name: string, help: string, numberOf: (reading: Reading) => number) =>
    gauge(name, help, (reading) => ({ documents: numberOf(reading) }));

  gauge(
    'ocr_queue_jobs',
    'Jobs in the queue by state.',
    ({ documents: { waiting, backlog, active, delayed } }) => ({
      waiting: waiting + backlog,
      active,
      delayed,
    }),
    'state',
  );
  ofDocuments('ocr_oldest_waiting_age_seconds', 'How long the oldest job waits; 0 when none does.', (now) =>
    ageSeconds(now.documents.oldestAtMs),
  );
  ofDocuments(
    'ocr_backlog_seconds',
    'Work that is open, in seconds of one worker; 0 while paused.',
    (now) => now.scaling.backlogSeconds,
  );
  ofDocuments(
    'ocr_backlog_pages',
    'Pages still to be read, partly by estimate.',
    (now) => now.scaling.backlogPages,
  );
  ofDocuments(
    'ocr_worker_pages_per_second',
    'What one worker reads, as measured.',
    (now) => now.scaling.ratePagesPerSecond,
  );
  ofDocuments('ocr_workers', 'Workers that are there.', (now) => now.scaling.workers);
  ofDocuments(
    'ocr_desired_replicas',
    'Workers that would end the backlog within the target.',
    (now) => now.scaling.desiredReplicas,
  );
  gauge('ocr_queue_paused', 'Whether workers take nothing until it is resumed: 1 or 0.', (now) => ({
    documents: Number(now.documents.paused),
    deliveries: Number(now.deliveries.paused),
  }));
  gauge(
    'ocr_webhook_oldest_age_seconds',
    'How long the oldest event or delivery waits that could go now; 0 when none does.',
    (now) => ({ deliveries: ageSeconds(now.deliveries.oldestAtMs) }),
  );
}

function createReader(queue: Queue, settings: ScalingSettings) {
  return async () => {
    const [scaling, documents, deliveries] = await Promise.all([
      queue.scaling(settings),
      queue.queueState('documents'),
      queue.queueState('deliveries'),
    ]);
    return { scaling, documents, deliveries };
  };
}

/** Whoever asks while an answer is on its way gets that one: the gauges of one scrape, and of scrapes at once. */
function sharing<T>(ask: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= ask().finally(() => {
      running = undefined;
    });
    return running;
  };
}

function ageSeconds(atMs: number | null): number {
  return atMs === null ? 0 : Math.max(0, (Date.now() - atMs) / 1000);
}
