import { failureCodeSchema } from '@glyphmill/contract/failure';
import { type CacheOutcome, isFinal, statusSchema } from '@glyphmill/contract/job';
import type { BatchEvent, ItemEvent, ModelProblem } from '@glyphmill/inference/models';
import type { AttemptReport } from '@glyphmill/queue/job-run';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StageTimes } from './pipeline.ts';

export interface WorkerMetrics {
  registry: Registry;
  onBatch(event: BatchEvent): void;
  onItem(event: ItemEvent): void;
  onModelProblem(problem: ModelProblem): void;
  onAttempt(report: AttemptReport): void;
  onStages(stages: StageTimes): void;
  onCache(outcome: CacheOutcome): void;
}

/** What is read anew at every scrape. */
export interface WorkerState {
  documentsInFlight(): number;
  bytesInFlight(): number;
  linesWaiting(): number;
  instances(): readonly { model: string; version: string; provider: string; status: string }[];
  /** Versions in the repository that are not served since they do not load. */
  problems(): readonly { model: string }[];
  models(): readonly { name: string; version: string; sha256: string; provider: string }[];
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Jobs also wait, for hours where there are too few workers. */
const jobSecondsBuckets = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
const sizeBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const fillBuckets = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1];

export function createWorkerMetrics(state: WorkerState): WorkerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    buckets = secondsBuckets,
  ) => new Histogram({ name, help, labelNames, buckets, registers });

  const stage = histogram(
    'ocr_stage_duration_seconds',
    'Time per stage; pack, infer and post per micro-batch and of a model, the others per document.',
    ['stage', 'model'],
  );
  const attempt = histogram('ocr_attempt_duration_seconds', 'Time from the claim of a job to its commit.', [
    'outcome',
  ]);
  const job = histogram(
    'ocr_job_duration_seconds',
    'Time from a job’s submission to its end, of those that a worker ended.',
    ['outcome'],
    jobSecondsBuckets,
  );
  const batchSize = histogram('ocr_batch_size', 'Items per micro-batch.', ['model'], sizeBuckets);
  const batchFill = histogram(
    'ocr_batch_fill_ratio',
    'Size of a micro-batch ÷ max_batch_size.',
    ['model'],
    fillBuckets,
  );
  const queueDelay = histogram('ocr_batch_queue_delay_seconds', 'Time an item waited for its micro-batch.', [
    'model',
  ]);
  const batches = new Counter({
    name: 'ocr_batches_total',
    help: 'Micro-batches run, by what made them go.',
    labelNames: ['model', 'trigger'],
    registers,
  });
  const items = new Counter({
    name: 'ocr_items_total',
    help: 'Lines and pages, by how they ended: done, canceled, or the code of the error.',
    labelNames: ['model', 'outcome'],
    registers,
  });
  const failedBatches = new Counter({
    name: 'ocr_failed_batches_total',
    help: 'Micro-batches without an output, by cause: model-error or instance-lost. Their items are run again.',
    labelNames: ['model', 'cause'],
    registers,
  });
  const attempts = new Counter({
    name: 'ocr_attempts_total',
    help: 'Attempts at jobs, by how they ended and the failure’s code.',
    labelNames: ['outcome', 'code'],
    registers,
  });
  const deadLetters = new Counter({
    name: 'ocr_dead_letters_total',
    help: 'Jobs that ended as failed, by the failure’s code: they are listed by GET /v1/dead-letters.',
    labelNames: ['reason'],
    registers,
  });
  // From the first scrape on, so that the first one that happens is an increase.
  for (const reason of failureCodeSchema.options) deadLetters.inc({ reason }, 0);
  for (const outcome of statusSchema.options.filter(isFinal)) job.zero({ outcome });
  const cached = new Counter({
    name: 'ocr_result_cache_total',
    help: 'Documents by what the result cache had to do with them.',
    labelNames: ['outcome'],
    registers,
  });
  const loadFailures = new Counter({
    name: 'ocr_model_load_failures_total',
    help: 'Model versions that did not load; the versions before them go on serving.',
    labelNames: ['model', 'version'],
    registers,
  });
  gauges(state, registers);

  return {
    registry,
    onBatch(event) {
      const { model, trigger, outcome, size, fill } = event;
      batchSize.observe({ model }, size);
      batchFill.observe({ model }, fill);
      batches.inc({ model, trigger });
      for (const seconds of event.queueDelaySeconds) queueDelay.observe({ model }, seconds);
      if (outcome !== 'done') return failedBatches.inc({ model, cause: outcome });
      stage.observe({ stage: 'pack', model }, event.packSeconds);
      stage.observe({ stage: 'infer', model }, event.inferSeconds);
      stage.observe({ stage: 'post', model }, event.postSeconds);
    },
    onItem({ model, outcome }) {
      items.inc({ model, outcome });
    },
    onModelProblem({ model, version }) {
      if (version !== null) loadFailures.inc({ model, version });
    },
    onAttempt({ attempt: { createdAtMs }, ended, failure, durationMs }) {
      attempts.inc({ outcome: ended, code: failure?.code ?? '' });
      attempt.observe({ outcome: ended }, durationMs / 1000);
      if (ended === 'retried' || ended === 'handed-back' || ended === 'void') return;
      job.observe({ outcome: ended }, Math.max(0, Date.now() - createdAtMs) / 1000);
      if (ended === 'failed') deadLetters.inc({ reason: failure?.code ?? 'internal' });
    },
    onCache: (outcome) => cached.inc({ outcome }),
    onStages(stages) {
      for (const [name, ms] of Object.entries(stages))
        stage.observe({ stage: name.replace(/Ms$/, '') }, ms / 1000);
    },
  };
}

function gauges(state: WorkerState, registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('ocr_documents_in_flight', 'Jobs this worker holds.', () => state.documentsInFlight());
  gauge('ocr_line_bytes_in_flight', 'Bytes of line crops that wait for a micro-batch or are in one.', () =>
    state.bytesInFlight(),
  );
  gauge('ocr_items_waiting', 'Items that wait for a micro-batch.', () => state.linesWaiting());
  new Gauge({
    name: 'ocr_inference_instances',
    help: 'Instances by state.',
    labelNames: ['model', 'version', 'provider', 'state'],
    registers,
    collect() {
      this.reset();
      for (const { status, model, version, provider } of state.instances()) {
        this.inc({ model, version, provider, state: status });
      }
    },
  });
  new Gauge({
    name: 'ocr_model_problems',
    help: 'Why versions of the repository are not served: how many reasons there are.',
    labelNames: ['model'],
    registers,
    collect() {
      this.reset();
      for (const { name: model } of state.models()) this.set({ model }, 0);
      for (const { model } of state.problems()) this.inc({ model });
    },
  });
  new Gauge({
    name: 'ocr_model_info',
    help: 'The models served; always 1.',
    labelNames: ['model', 'version', 'sha256', 'provider'],
    registers,
    collect() {
      this.reset();
      for (const { name: model, version, sha256, provider } of state.models()) {
        this.set({ model, version, sha256, provider }, 1);
      }
    },
  });
}
