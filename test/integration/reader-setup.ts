import { openEngine } from '@glyphmill/engine/engine';
import { type BatchEvent, openModels } from '@glyphmill/inference/models';
import { startConsumer } from '@glyphmill/queue/consumer';
import type { AttemptReport } from '@glyphmill/queue/job-run';
import { removeLeftovers } from 'glyphmill-worker/leftovers';
import { createPageWriter } from 'glyphmill-worker/live-pages';
import { createPipeline } from 'glyphmill-worker/pipeline';
import type { Api } from './api-setup.ts';

const log = { info() {}, warn() {}, error() {} };

/** The worker's own pipeline on the queue of `api`, with one decoding child and one instance of the recogniser. */
export async function startReader(api: Api, { repository, model }: { repository: string; model: string }) {
  const batches: BatchEvent[] = [];
  /** What the pipeline warned of. */
  const warnings: string[] = [];
  const reports: AttemptReport[] = [];
  const models = await openModels({
    repository,
    names: { recognize: model },
    provider: 'cpu',
    instances: { recognize: 1 },
    limits: { runTimeoutMs: 8000 },
    onBatch: (event) => batches.push(event),
    log,
  });
  const engine = openEngine({
    models,
    decoders: 1,
    // No test that waits for a decoder to be ended may be helped by this.
    decodeDeadlineMs: 300_000,
    maxPagePixels: 10e6,
    maxPages: 1000,
  });
  const system = { store: api.objects, systemBucket: api.config.s3SystemBucket };
  const onWarning = (message: string, { key }: { key?: string }) => warnings.push(`${message}: ${key}`);
  const pageWriter = createPageWriter({ ...system, onWarning });
  const handler = createPipeline({
    engine,
    ...system,
    pageWriter,
    models: () => models.info(),
    documentsInMemory: 2,
    maxDocumentBytes: 50e6,
    fetchTimeoutMs: 10_000,
    jobTimeoutMs: 60_000,
    onStages: () => {},
    onWarning,
  });
  const consumer = await startConsumer({
    address: api.address,
    concurrency: 4,
    handler,
    models: () => models.info(),
    onAttempt: (report) => {
      reports.push(report);
      void removeLeftovers(report, { ...system, pageWriter, onWarning: (message) => warnings.push(message) });
    },
    onWarning: () => {},
  });
  return {
    batches,
    engine,
    reports,
    warnings,
    async close() {
      await consumer.close(0);
      engine.close();
      await models.close(0);
    },
  };
}
export type Reader = Awaited<ReturnType<typeof startReader>>;
