import { ConfigError } from './config.ts';
import type { Logger } from './logger.ts';

/** Runs a process's start-up; what stops it is one clear message and exit code 1. */
export async function runMain(log: Logger, start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    log.fatal({ err: error }, error instanceof ConfigError ? error.message : 'could not start');
    process.exit(1);
  }
}
