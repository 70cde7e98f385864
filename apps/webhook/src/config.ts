import {
  metricsPortSetting,
  processSettings,
  redisSettings,
  tracingSettings,
} from '@glyphmill/service/common-settings';
import { type Config, flag, integer, list, secretSetting, setting } from '@glyphmill/service/config';
import { z } from 'zod';

export const webhookSettings = {
  signingKey: secretSetting(
    'WEBHOOK_SIGNING_KEY',
    z.string().min(32, 'expected at least 32 characters'),
    'Root of every tenant’s webhook secret, and of the key that seals those of endpoints; the API needs the same.',
  ),
  previousSigningKey: secretSetting(
    'WEBHOOK_PREVIOUS_SIGNING_KEY',
    z.string().min(32, 'expected at least 32 characters').optional(),
    'The signing key before, while it is being replaced: signs too, and opens secrets that it sealed.',
  ),
  concurrency: setting(
    'WEBHOOK_CONCURRENCY',
    integer(4, 1000).default(64),
    'Deliveries on the way at once; an endpoint gets a quarter of them at most, a host or a tenant half.',
  ),
  timeoutSeconds: setting(
    'WEBHOOK_TIMEOUT_SECONDS',
    integer(1, 60).default(15),
    'Time a receiver has to answer, from the look-up of its name to the end of its answer.',
  ),
  allowHttp: setting('WEBHOOK_ALLOW_HTTP', flag.default(false), 'Also deliver to http:// addresses.'),
  allowedCidrs: setting(
    'WEBHOOK_ALLOWED_CIDRS',
    list.default([]),
    'Networks that webhooks may reach although they are not public, for example 10.0.0.0/8.',
  ),
  ...redisSettings,
  ...processSettings,
  ...tracingSettings,
  ...metricsPortSetting(9092),
};

export type WebhookConfig = Config<typeof webhookSettings>;
