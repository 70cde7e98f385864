import { openEngine } from '@glyphmill/engine/engine';
import { importMissingModels } from '@glyphmill/inference/default-models';
import { openModels } from '@glyphmill/inference/models';
import { handBackMs, startConsumer } from '@glyphmill/queue/consumer';
import { openCachedResults } from '@glyphmill/queue/result-cache';
import { storeAddress } from '@glyphmill/service/common-settings';
import { checkReadiness } from '@glyphmill/service/health';
import { createLogger } from '@glyphmill/service/logger';
import { startMetricsServer } from '@glyphmill/service/metrics-server';
import { runMain } from '@glyphmill/service/run-main';
import { onShutdown } from '@glyphmill/service/shutdown';
import { openTracing } from '@glyphmill/service/tracing';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { logAttempt } from './attempt-log.ts';
import { readWorkerConfig, type WorkerConfig } from './config.ts';
import { removeLeftovers } from './leftovers.ts';
import { createPageWriter } from './live-pages.ts';
import { createWorkerMetrics } from './metrics.ts';
import { createMicroBatchTally } from './micro-batch-tally.ts';
import { createPipeline } from './pipeline.ts';
import { createProgressWatch } from './progress-watch.ts';
import { createRateMeter } from './rate-meter.ts';
import { checkModels, findLostModel } from './readiness.ts';
import { createResultCache } from './result-cache.ts';
import { createAttemptTraces } from './trace-attempts.ts';

/** Documents fetched ahead of the decoding children. */
const fetchedAhead = 2;
/** What items still in the models get at the end: their jobs have been handed back. */
const modelsCloseMs = 500;
/** Kept back from the time to shut down, for handing jobs back and closing what is open then. */
const closingMs = handBackMs + modelsCloseMs + 2000;

/** How often a worker looks whether it can still read at all. */
const modelCheckMs = 1000;

await runMain(createLogger({ service: 'worker', level: 'info' }), () => start(readWorkerConfig(process.env)));

async function start(config: WorkerConfig): Promise<void> {
  const log = createLogger({ service: 'worker', level: config.logLevel });
  const store = openObjectStore(storeAddress(config));
  const names = {
    ...(config.detectModel === undefined ? {} : { detect: config.detectModel }),
    ...(config.recognizeModel === undefined ? {} : { recognize: config.recognizeModel }),
  };
  const added = await importMissingModels(config.modelRepository, names);
  if (added.length > 0)
    log.info(
      { model: added.join(', ') },
      'default models put into the repository, which had none of their role',
    );
  const tracing = openTracing(config, 'worker');
  const traces = createAttemptTraces(tracing);
  const rate = createRateMeter(config.documentsInFlight, () => performance.now() / 1000);
  const watch = createProgressWatch(stuckAfterMs(config), rate.inHand);
  // Read at scrapes, which come once everything is open; counted into from the first model on.
  const metrics = createWorkerMetrics({
    documentsInFlight: () => watch.inHand,
    bytesInFlight: () => engine.bytesInFlight,
    linesWaiting: () => models.waiting(),
    instances: () => models.states(),
    models: () => models.info(),
    problems: () => models.problems(),
  });
  const tally = createMicroBatchTally();
  const models = await openModels({
    repository: config.modelRepository,
    names,
    provider: config.provider,
    onBatch: (event) => {
      watch.progressed();
      metrics.onBatch(event);
      traces.onBatch(event);
      tally.add(event);
    },
    onItem: (event) => metrics.onItem(event),
    onProblem: (problem) => metrics.onModelProblem(problem),
    log,
  });
  const engine = openEngine({
    models,
    decoders: config.decoders,
    decodeDeadlineMs: config.decodeTimeoutSeconds * 1000,
    maxPagePixels: config.maxPageMegapixels * 1e6,
    maxPages: config.maxPages,
  });
  const onWarning = (message: string, { error, ...facts }: { error: unknown; jobId: string; key?: string }) =>
    log.warn({ ...facts, err: error }, message);
  const address = { url: config.redisUrl, shard: config.redisShard };
  const results = openCachedResults(address, (error) => log.warn({ err: error }, 'Redis connection'));
  const resultCache = createResultCache({
    results,
    store,
    models: () => models.info(),
    onOutcome: metrics.onCache,
    onWarning,
  });
  const pageWriter = createPageWriter({ store, systemBucket: config.s3SystemBucket, onWarning });
  const pipeline = createPipeline({
    engine,
    store,
    pageWriter,
    resultCache,
    systemBucket: config.s3SystemBucket,
    documentsInMemory: config.decoders + fetchedAhead,
    maxDocumentBytes: config.maxDocumentBytes,
    fetchTimeoutMs: config.fetchTimeoutSeconds * 1000,
    jobTimeoutMs: config.jobTimeoutSeconds * 1000,
    onStages: metrics.onStages,
    onPages: rate.read,
    traces,
    models: () => models.info(),
    onWarning,
  });
  const consumer = await startConsumer({
    address,
    concurrency: config.documentsInFlight,
    handler: watch.around(traces.around(pipeline)),
    models: () => models.info(),
    pagesPerSecond: rate.pagesPerSecond,
    microBatches: tally.take,
    onAttempt: (report) => {
      metrics.onAttempt(report);
      traces.onAttempt(report);
      logAttempt(log, report);
      // The job has ended; nobody waits for this.
      void removeLeftovers(report, { store, pageWriter, systemBucket: config.s3SystemBucket, onWarning });
    },
    onWarning: (message, error) => log.warn(error === undefined ? {} : { err: error }, message),
  });
  const server = await startMetricsServer({
    host: config.metricsHost,
    port: config.metricsPort,
    registry: metrics.registry,
    isLive: watch.isLive,
    readiness: () =>
      checkReadiness({
        redis: async () => {
          await consumer.ping();
          return { ok: true, detail: 'answers' };
        },
        models: async () => checkModels(models),
      }),
  });
  log.info({ port: server.port, pid: process.pid }, 'ready for jobs');
  const checking = setInterval(() => {
    const lost = findLostModel(models);
    if (lost === undefined) return;
    clearInterval(checking);
    // It would go on taking jobs, faster than anybody, only to fail them. Started anew it may be well.
    log.fatal({ reason: lost }, 'this worker cannot read any more; handing its jobs back and ending');
    void consumer.close(0).finally(() => process.exit(1));
  }, modelCheckMs);

  onShutdown({
    log,
    deadlineSeconds: config.shutdownSeconds,
    close: async () => {
      clearInterval(checking);
      models.drain();
      await consumer.close(Math.max(0, config.shutdownSeconds * 1000 - closingMs));
      engine.close();
      await models.close(modelsCloseMs);
      await server.close();
      results.close();
      store.close();
      await tracing.close();
    },
  });
}

/** Longer than any single step may take, a page's micro-batches included. */
function stuckAfterMs(config: WorkerConfig): number {
  return 2000 * Math.max(90, config.fetchTimeoutSeconds, config.decodeTimeoutSeconds);
}
