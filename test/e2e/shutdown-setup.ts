import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { typescriptArgs } from '@glyphmill/inference/typescript-args';
import { until } from '../integration/queue-setup.ts';

export interface RunningApp {
  pid: number;
  output(): string;
  /** Asks it to stop; resolves with its exit code and how long that took. */
  stop(): Promise<{ code: number | null; tookMs: number }>;
  /** Ends it at once if it still runs. */
  kill(): Promise<void>;
}

/** An app as a container runs it: one process that gets SIGTERM. Resolves when its log says `ready`. */
export async function startApp(
  app: 'api' | 'worker' | 'webhook',
  { env, ready }: { env: Record<string, string>; ready: string },
): Promise<RunningApp> {
  const file = createRequire(import.meta.url).resolve(`glyphmill-${app}/main`);
  const child: ChildProcess = spawn(process.execPath, [...typescriptArgs(), file], {
    env: { PATH: process.env.PATH, METRICS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exit = once(child, 'exit');
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  await until(
    `the ${app} is ready`,
    () => {
      if (isOver()) throw new Error(`the ${app} ended while starting:\n${output}`);
      return output.includes(ready);
    },
    60_000,
  );
  return {
    pid: child.pid ?? 0,
    output: () => output,
    async stop() {
      const begunMs = performance.now();
      child.kill('SIGTERM');
      await exit;
      return { code: child.exitCode, tookMs: performance.now() - begunMs };
    },
    async kill() {
      if (isOver()) return;
      child.kill('SIGKILL');
      await exit;
    },
  };
}
