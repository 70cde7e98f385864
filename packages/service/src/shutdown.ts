import closeWithGrace from 'close-with-grace';
import type { Logger } from './logger.ts';

/**
 * Runs `close` once on SIGTERM, SIGINT or an uncaught error, then exits: 0 after a signal, 1 after an
 * error, and in any case when `deadlineSeconds` are over, since closing may wait for a server that is gone.
 */
export function onShutdown(options: {
  log: Logger;
  deadlineSeconds: number;
  close: () => Promise<void>;
}): void {
  const { log, deadlineSeconds, close } = options;
  closeWithGrace({ delay: deadlineSeconds * 1000, logger: false }, async ({ signal, err }) => {
    if (err) log.error({ err }, 'an error nobody handled; shutting down');
    else log.info({ signal }, 'shutting down');
    await close();
  });
}
