import { readConfig } from '@glyphmill/service/config';
import { createLogger } from '@glyphmill/service/logger';
import { runMain } from '@glyphmill/service/run-main';
import { onShutdown } from '@glyphmill/service/shutdown';
import { startWebhookApp } from './app.ts';
import { webhookSettings } from './config.ts';

await runMain(createLogger({ service: 'webhook', level: 'info' }), async () => {
  const config = readConfig(webhookSettings, process.env);
  const log = createLogger({ service: 'webhook', level: config.logLevel });
  const app = await startWebhookApp({ config, log });
  onShutdown({ log, deadlineSeconds: config.shutdownSeconds, close: app.close });
  log.info({ port: app.metricsPort }, 'delivering webhooks');
});
