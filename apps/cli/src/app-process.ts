import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { typescriptArgs } from '@glyphmill/inference/typescript-args';

/** The long-running processes of the system; each is an app of its own. */
export type App = 'api' | 'worker' | 'webhook';

/** Starts an app as its own process; the stdio of the options decides where its log lines go. */
export function spawnApp(
  app: App,
  options: { env: Record<string, string | undefined>; stdio: 'inherit' | 'supervised' },
): ChildProcess {
  const file = createRequire(import.meta.url).resolve(`glyphmill-${app}/main`);
  return spawn(process.execPath, [...typescriptArgs(), file], {
    env: options.env,
    // A supervised process hears by its channel when the supervisor is gone, and Ctrl-C does not reach it
    // before the supervisor has decided who stops first.
    ...(options.stdio === 'inherit'
      ? { stdio: 'inherit' }
      : { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true }),
  });
}
