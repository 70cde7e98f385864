import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type App, spawnApp } from './app-process.ts';

export interface SupervisedApp {
  app: App;
  env: Record<string, string | undefined>;
  /** Answers 200 at `/readyz` once the app can work. */
  readyUrl: string;
}

export interface Supervisor {
  /** Resolves when every app is ready; throws when one ends before, with the end of its log. */
  ready(deadlineMs: number): Promise<void>;
  pids(): Record<string, number | undefined>;
  /** Stops the apps one after the other, in the order they were given. */
  stop(): Promise<void>;
}

interface Running {
  child: ChildProcess;
  lastLines: string[];
}

const firstRestartMs = 250;
const maxRestartMs = 10_000;
/** An app that ran for so long is taken to be well: its next restart is quick again. */
const wellAfterMs = 30_000;
const readyPollMs = 100;
const readyTimeoutMs = 2000;
const keptLines = 15;
const stopDeadlineMs = 30_000;

/** Runs the apps as child processes and starts one anew when it dies, as a container platform would. */
export function superviseApps(
  apps: readonly SupervisedApp[],
  { logDir, onRestart }: { logDir: string; onRestart: (app: App, reason: string) => void },
): Supervisor {
  mkdirSync(logDir, { recursive: true });
  const running = new Map<App, Running>();
  const timers = new Set<NodeJS.Timeout>();
  let stopping = false;

  function start({ app, env, readyUrl }: SupervisedApp, restarts: number): void {
    const child = spawnApp(app, { env, stdio: 'supervised' });
    const log = createWriteStream(join(logDir, `${app}.log`), { flags: 'a' });
    // A full disk costs the log and nothing else.
    log.on('error', () => {});
    const lastLines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log.write(text);
        lastLines.push(...text.trimEnd().split('\n'));
        lastLines.splice(0, Math.max(0, lastLines.length - keptLines));
      });
    }
    running.set(app, { child, lastLines });
    const startedMs = performance.now();
    child.once('error', (error) => lastLines.push(error.message));
    // 'close' comes after the last of its output, and also when it could not be started.
    child.once('close', (code, signal) => {
      log.end();
      if (stopping) return;
      onRestart(app, signal ?? `exit code ${code}`);
      const tries = performance.now() - startedMs > wellAfterMs ? 0 : restarts;
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          start({ app, env, readyUrl }, tries + 1);
        },
        Math.min(maxRestartMs, firstRestartMs * 2 ** tries),
      );
      timers.add(timer);
    });
  }

  for (const app of apps) start(app, 0);

  return {
    async ready(deadlineMs) {
      const deadline = performance.now() + deadlineMs;
      await Promise.all(
        apps.map(async ({ app, readyUrl }) => {
          while (!(await answersOk(readyUrl))) {
            const state = running.get(app);
            const ended =
              state === undefined || state.child.exitCode !== null || state.child.signalCode !== null;
            if (!ended && performance.now() < deadline) {
              await new Promise((resolve) => setTimeout(resolve, readyPollMs));
              continue;
            }
            const what = ended ? 'ended while starting' : `was not ready after ${deadlineMs / 1000} s`;
            throw new Error(`the ${app} ${what}. The end of its log:\n${state?.lastLines.join('\n') ?? ''}`);
          }
        }),
      );
    },
    pids: () => Object.fromEntries([...running].map(([app, { child }]) => [app, child.pid])),
    async stop() {
      stopping = true;
      for (const timer of timers) clearTimeout(timer);
      for (const { app } of apps) await stopChild(running.get(app)?.child);
    },
  };
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(readyTimeoutMs) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function stopChild(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs);
  await exit;
  clearTimeout(timer);
}
