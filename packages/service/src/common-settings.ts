import { z } from 'zod';
import { type Config, flag, integer, list, port, secretSetting, setting } from './config.ts';

// Settings that several processes read, under the same names everywhere.

export const redisSettings = {
  redisUrl: secretSetting(
    'REDIS_URL',
    z.string().regex(/^(rediss?|unix):\/\//, 'expected redis://, rediss:// or unix://'),
    'Redis or Valkey that holds the queue, for example redis://127.0.0.1:6379.',
  ),
  redisShard: setting(
    'REDIS_SHARD',
    z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/)
      .default('0'),
    'Name inside the hash tag of every key, so that several installations share one Redis.',
  ),
};

export const s3Settings = {
  s3Endpoint: setting(
    'S3_ENDPOINT',
    z.url().optional(),
    'Base URL of an S3-compatible store; unset means AWS S3 with the SDK’s own credentials.',
  ),
  s3Region: setting('S3_REGION', z.string().default('us-east-1'), 'Region of the store.'),
  s3AccessKeyId: secretSetting(
    'S3_ACCESS_KEY_ID',
    z.string().optional(),
    'Access key; unset means the AWS SDK’s default credential chain.',
  ),
  s3SecretAccessKey: secretSetting(
    'S3_SECRET_ACCESS_KEY',
    z.string().optional(),
    'Secret of that access key.',
  ),
  s3ForcePathStyle: setting(
    'S3_FORCE_PATH_STYLE',
    flag.default(false),
    'Address buckets as a path, as most self-hosted stores need.',
  ),
  s3SystemBucket: setting(
    'S3_SYSTEM_BUCKET',
    z.string().default('glyphmill'),
    'Bucket for what Glyphmill itself stores: inline documents, uploads and large results.',
  ),
};

/** The store that these settings name, as the object store is opened with. */
export function storeAddress(config: Config<typeof s3Settings>) {
  return {
    endpoint: config.s3Endpoint,
    region: config.s3Region,
    accessKeyId: config.s3AccessKeyId,
    secretAccessKey: config.s3SecretAccessKey,
    forcePathStyle: config.s3ForcePathStyle,
  };
}

export const processSettings = {
  logLevel: setting(
    'LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'Least level that is logged.',
  ),
  metricsHost: setting(
    'METRICS_HOST',
    z.string().default('127.0.0.1'),
    'Address of the metrics and health port.',
  ),
  shutdownSeconds: setting(
    'SHUTDOWN_SECONDS',
    integer(1, 3600).default(25),
    'Time from SIGTERM until the process exits, whatever is still open.',
  ),
};

export const tracingSettings = {
  otlpEndpoint: setting(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    z.url({ protocol: /^https?$/ }).optional(),
    'OpenTelemetry collector that traces are sent to, by OTLP over HTTP with JSON; unset means no traces.',
  ),
  otlpHeaders: secretSetting(
    'OTEL_EXPORTER_OTLP_HEADERS',
    list
      .default([])
      .pipe(z.array(z.string().regex(/^[^=\s]+=.+$/, 'expected name=value,…')))
      .transform((pairs) =>
        pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const),
      ),
    'Headers for that collector, for example authorization=Bearer ….',
  ),
  tracesShare: setting(
    'OTEL_TRACES_SAMPLER_ARG',
    z.coerce.number().min(0).max(1).default(1),
    'Share of the traces begun here that are recorded; a caller’s own traceparent decides for itself.',
  ),
};

/** The metrics port's default differs by process, so that all of them can share one host. */
export const metricsPortSetting = (defaultPort: number) => ({
  metricsPort: setting(
    'METRICS_PORT',
    port.default(defaultPort),
    'Port of /metrics, /livez and /readyz; 0 picks one.',
  ),
});
