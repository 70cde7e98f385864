import { ConfigError } from './config.ts';
import type { Logger } from './logger.ts';

/**
 * Runs a process's start-up; what stops it is one clear message and exit code 1. A process started with a
 * channel also ends when its starter is gone meanwhile; from `onShutdown` on that is an orderly end.
 */
export async function runMain(log: Logger, start: () => Promise<void>): Promise<void> {
  const orphaned = () => process.exit(1);
  process.once('disconnect', orphaned);
  try {
    await start();
    process.off('disconnect', orphaned);
  } catch (error) {
    log.fatal({ err: error }, error instanceof ConfigError ? error.message : 'could not start');
    process.exit(1);
  }
}
