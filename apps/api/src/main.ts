import { startBatchWorker } from '@glyphmill/queue/batch-worker';
import { openEndpointStore } from '@glyphmill/queue/endpoint-store';
import { openJobStore } from '@glyphmill/queue/job-store';
import { createAddressGuard } from '@glyphmill/service/address-guard';
import { storeAddress } from '@glyphmill/service/common-settings';
import { createLogger } from '@glyphmill/service/logger';
import { startMetricsServer } from '@glyphmill/service/metrics-server';
import { runMain } from '@glyphmill/service/run-main';
import { onShutdown } from '@glyphmill/service/shutdown';
import { openTracing } from '@glyphmill/service/tracing';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { openApiKeyFile } from './api-key-file.ts';
import { buildApp } from './app.ts';
import { createBatchReader } from './batch-reader.ts';
import { limitsOf, readApiConfig } from './config.ts';
import { createMetrics } from './metrics.ts';
import { createReadiness } from './readiness.ts';
import { scalingSettings } from './scaling.ts';

await runMain(createLogger({ service: 'api', level: 'info' }), async () => {
  const config = readApiConfig();
  const log = createLogger({ service: 'api', level: config.logLevel });
  const guard = createAddressGuard({ allowedCidrs: config.webhookAllowedCidrs });
  const keyFile = openApiKeyFile(config.keysFile, { log });
  const objects = openObjectStore({ ...storeAddress(config), publicEndpoint: config.s3PublicEndpoint });
  await objects.ensureBucket(config.s3SystemBucket);
  const queue = { url: config.redisUrl, shard: config.redisShard };
  const onError = (error: Error) => log.warn({ err: error }, 'trouble with the connection to Redis');
  const jobs = await openJobStore(queue, {
    limits: limitsOf(config),
    onError,
    onWarning: (warning) => log.warn(warning),
  });
  const endpoints = await openEndpointStore(queue, onError);
  const batchWorker = await startBatchWorker({
    address: queue,
    limits: limitsOf(config),
    read: createBatchReader({ objects, systemBucket: config.s3SystemBucket }),
    onError: (error) => log.warn({ err: error }, 'trouble with the work on batches'),
  });
  const tracing = openTracing(config, 'api');
  const metrics = createMetrics(jobs, scalingSettings(config));
  const readiness = createReadiness({ jobs, objects, systemBucket: config.s3SystemBucket });
  const app = await buildApp({
    config,
    jobs,
    endpoints,
    objects,
    keys: keyFile.keys,
    guard,
    metrics,
    tracing,
    log,
    readiness,
  });
  const metricsServer = await startMetricsServer({
    host: config.metricsHost,
    port: config.metricsPort,
    registry: metrics.registry,
    isLive: () => true,
    readiness,
  });
  onShutdown({
    log,
    deadlineSeconds: config.shutdownSeconds,
    async close() {
      await app.close();
      await metricsServer.close();
      keyFile.close();
      await batchWorker.close();
      endpoints.close();
      await jobs.close();
      objects.close();
      await tracing.close();
    },
  });
  const address = await app.listen({ host: config.host, port: config.port });
  log.info({ address, port: metricsServer.port }, 'the API listens');
});
