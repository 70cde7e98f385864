import type { Limits } from '@glyphmill/queue/create';
import {
  metricsPortSetting,
  processSettings,
  redisSettings,
  s3Settings,
  tracingSettings,
} from '@glyphmill/service/common-settings';
import {
  type Config,
  flag,
  integer,
  list,
  port,
  readConfig,
  secretSetting,
  setting,
} from '@glyphmill/service/config';
import { z } from 'zod';

export const apiSettings = {
  host: setting('API_HOST', z.string().default('127.0.0.1'), 'Address the API listens on.'),
  port: setting('API_PORT', port.default(8080), 'Port the API listens on; 0 picks one.'),
  keysFile: setting(
    'API_KEYS_FILE',
    z.string(),
    'File with the API keys; `glyphmill key create` writes an entry.',
  ),
  publicUrl: setting(
    'PUBLIC_URL',
    z
      .url({ protocol: /^https?$/ })
      .transform((url) => url.replace(/\/+$/, ''))
      .optional(),
    'Base URL under which callers reach the API; unset makes links relative.',
  ),
  maxWaitingJobs: setting(
    'MAX_WAITING_JOBS',
    integer(1, 10_000_000).default(100_000),
    'Jobs that may wait; further ones are refused with queue-full.',
  ),
  tenantMaxJobs: setting(
    'TENANT_MAX_JOBS',
    integer(1, 10_000_000).default(50_000),
    'Jobs of one tenant that may be open, waiting or running; further ones are refused with quota-exceeded.',
  ),
  tenantMaxPages: setting(
    'TENANT_MAX_PAGES',
    integer(1, 10_000_000).default(20_000),
    'Pages of one tenant’s running jobs at which further jobs are refused.',
  ),
  tenantMaxMegapixels: setting(
    'TENANT_MAX_MEGAPIXELS',
    integer(1, 100_000_000).default(100_000),
    'Megapixels of one tenant’s running jobs at which further jobs are refused.',
  ),
  submitConcurrency: setting(
    'SUBMIT_CONCURRENCY',
    integer(1, 10_000).default(128),
    'Calls of POST /v1/jobs that one process works on at once; more are told to come back in a second.',
  ),
  recognizeTimeoutSeconds: setting(
    'RECOGNIZE_TIMEOUT_SECONDS',
    integer(1, 60).default(10),
    'How long POST /v1/recognize waits unless the caller says otherwise.',
  ),
  recognizeConcurrency: setting(
    'RECOGNIZE_CONCURRENCY',
    integer(1, 10_000).default(32),
    'Calls of POST /v1/recognize at once; each may hold MAX_UPLOAD_BYTES of memory.',
  ),
  maxUploadBytes: setting(
    'MAX_UPLOAD_BYTES',
    integer(1, 500_000_000).default(50_000_000),
    'Largest image in a multipart or raw body.',
  ),
  requestTimeoutSeconds: setting(
    'REQUEST_TIMEOUT_SECONDS',
    integer(1, 600).default(60),
    'Time a request, its body included, may take to arrive.',
  ),
  scalingTargetSeconds: setting(
    'SCALING_TARGET_SECONDS',
    integer(1, 86_400).default(120),
    'In how many seconds the workers should end what is open: desiredReplicas is backlogSeconds divided by this.',
  ),
  scalingDefaultPagesPerSecond: setting(
    'SCALING_DEFAULT_PAGES_PER_SECOND',
    z.coerce.number().positive().max(10_000).default(1),
    'What a worker is thought to read until a first one has measured it.',
  ),
  webhookSigningKey: secretSetting(
    'WEBHOOK_SIGNING_KEY',
    z.string().min(32, 'expected at least 32 characters'),
    'Root of every tenant’s webhook secret, and of the key that seals those of endpoints; the webhook process needs the same.',
  ),
  webhookAllowHttp: setting(
    'WEBHOOK_ALLOW_HTTP',
    flag.default(false),
    'Also accept http:// webhook addresses.',
  ),
  webhookAllowedCidrs: setting(
    'WEBHOOK_ALLOWED_CIDRS',
    list.default([]),
    'Networks that webhooks may reach although they are not public, for example 10.0.0.0/8.',
  ),
  corsOrigins: setting(
    'CORS_ORIGINS',
    list.default([]),
    'Origins whose pages may call the API from a browser, for example https://app.example.com, or *; none by default.',
  ),
  playground: setting(
    'PLAYGROUND',
    flag.default(false),
    'Whether the API serves pages for people too, at / and /queues: to try a picture, and to watch the queues.',
  ),
  s3PublicEndpoint: setting(
    'S3_PUBLIC_ENDPOINT',
    z.url({ protocol: /^https?$/ }).optional(),
    'Base URL under which callers reach the store, for uploads; unset means S3_ENDPOINT.',
  ),
  ...redisSettings,
  ...s3Settings,
  ...processSettings,
  ...tracingSettings,
  ...metricsPortSetting(9090),
};

export type ApiConfig = Config<typeof apiSettings>;

/** What the queue takes on, by the settings. */
export function limitsOf(config: ApiConfig): Limits {
  return {
    maxWaiting: config.maxWaitingJobs,
    tenant: {
      jobs: config.tenantMaxJobs,
      pages: config.tenantMaxPages,
      megapixels: config.tenantMaxMegapixels,
    },
  };
}

/** Throws a ConfigError that lists every wrong setting. */
export function readApiConfig(env: Record<string, string | undefined> = process.env): ApiConfig {
  return readConfig(apiSettings, env);
}
