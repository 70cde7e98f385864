import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from 'glyphmill-cli/app-process';
import { freePorts } from 'glyphmill-cli/free-ports';
import { superviseApps } from 'glyphmill-cli/supervisor';
import { until } from '../integration/queue-setup.ts';

/** One process of the system, started again when it dies, as `glyphmill start` runs it. */
export interface RunningApp {
  readonly pid: number;
  /** Resolves when it can work. Throws with the end of its log when it does not come up. */
  ready(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** SIGKILL, and resolves when its successor runs. */
  crash(): Promise<void>;
  /** Milliseconds from SIGTERM to its end. It is not started again. */
  stop(): Promise<number>;
  /** What it and its predecessors logged, as far as it is JSON. */
  log(): Record<string, unknown>[];
}

const readyDeadlineMs = 120_000;
const restartDeadlineMs = 30_000;

export async function startApp(
  app: App,
  {
    env,
    logDir,
    readyUrl,
  }: { env: Record<string, string | undefined>; logDir: string; readyUrl?: string | undefined },
): Promise<RunningApp> {
  const [metricsPort = 0] = await freePorts(1);
  const supervised = {
    app,
    env: { ...env, METRICS_PORT: `${metricsPort}` },
    readyUrl: readyUrl ?? `http://127.0.0.1:${metricsPort}/readyz`,
  };
  const supervisor = superviseApps([supervised], { logDir, onRestart: () => {} });
  const pid = () => supervisor.pids()[app] ?? 0;
  return {
    get pid() {
      return pid();
    },
    ready: () => supervisor.ready(readyDeadlineMs),
    kill: (signal) => void process.kill(pid(), signal),
    async crash() {
      const before = pid();
      process.kill(before, 'SIGKILL');
      await until(`a new ${app}`, () => pid() !== before, restartDeadlineMs);
    },
    async stop() {
      const begunMs = performance.now();
      await supervisor.stop();
      return performance.now() - begunMs;
    },
    log: () =>
      readFileSync(join(logDir, `${app}.log`), 'utf8')
        .split('\n')
        .flatMap((line) => (line.startsWith('{') ? parse(line) : [])),
  };
}

/** Attempts at a job by these workers' logs: the outcome, and with it the failure's code or what the commit was told. */
export function attemptsAt(
  workers: readonly RunningApp[],
  id: string,
): { ended: string; durationMs: number }[] {
  return workers
    .flatMap((worker) => worker.log())
    .filter(({ msg, jobId }) => msg === 'attempt ended' && jobId === id)
    .map(({ outcome, code = '', state = '', durationMs }) => ({
      ended: [outcome, code, state].filter((part) => part !== '').join(' '),
      durationMs: Number(durationMs),
    }));
}

/** Holds the attempts at a job against how they should have ended, in their order. */
export function expectAttempts(workers: readonly RunningApp[], id: string, ends: string[]): void {
  assert.deepEqual(
    attemptsAt(workers, id).map(({ ended }) => ended),
    ends,
    `the attempts at job ${id}`,
  );
}

/** A line that was being written when its process died cannot be read. */
function parse(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
