import closeWithGrace from 'close-with-grace';
import type { Logger } from './logger.ts';

/**
 * Runs `close` once on SIGTERM, SIGINT, an uncaught error, or the end of the process that started this one
 * with a channel; then exits: 0 when asked to stop, 1 after an error, and in any case when
 * `deadlineSeconds` are over, since closing may wait for a server that is gone.
 */
export function onShutdown(options: {
  log: Logger;
  deadlineSeconds: number;
  close: () => Promise<void>;
}): void {
  const { log, deadlineSeconds, close } = options;
  const closing = closeWithGrace(
    {
      delay: deadlineSeconds * 1000,
      logger: false,
      onTimeout: () => log.error('the time to shut down is over; exiting with things still open'),
    },
    async ({ signal, err }) => {
      if (err) log.error({ err }, 'an error nobody handled; shutting down');
      else log.info({ signal }, 'shutting down');
      try {
        await close();
      } catch (error) {
        log.error({ err: error }, 'shutting down failed; exiting with things still open');
        throw error;
      }
    },
  );
  if (process.connected) process.once('disconnect', () => closing.close());
}
