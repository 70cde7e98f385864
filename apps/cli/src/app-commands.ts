import { once } from 'node:events';
import { Command } from 'commander';
import { type App, spawnApp } from './app-process.ts';

const descriptions: Record<App, string> = {
  api: 'Run the HTTP API alone, configured by environment variables',
  worker: 'Run one worker alone, configured by environment variables',
  webhook: 'Run webhook delivery alone, configured by environment variables',
};

/** `glyphmill api|worker|webhook`: one process of the system, as a container would run it. */
export function appCommands(): Command[] {
  const apps: App[] = ['api', 'worker', 'webhook'];
  return apps.map((app) =>
    new Command(app)
      .description(descriptions[app])
      .addHelpText('after', '\nThe settings are listed in docs/configuration.md; REDIS_URL is always needed.')
      .action(() => run(app)),
  );
}

/** Runs the app in the foreground, hands signals on, and ends with its exit code. */
async function run(app: App): Promise<void> {
  const child = spawnApp(app, { env: process.env, stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGTERM', forward);
  // Ctrl-C reaches the child by itself; we only stay until it is done.
  process.on('SIGINT', () => {});
  const [code] = await once(child, 'exit');
  process.exitCode = typeof code === 'number' ? code : 1;
}
