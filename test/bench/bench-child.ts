import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';

/** A process of the bench: it answers what it is asked, one thing at a time. */
export interface BenchChild {
  pid: number;
  /** Throws where it ends before it answers, or answers in another form. */
  ask<S extends z.ZodType>(message: object, schema: S): Promise<z.output<S>>;
  close(): Promise<void>;
}

/** Starts a main file of this folder; `nodeArgs` are node's own, besides ours. */
export function openChild(file: string, nodeArgs: readonly string[] = []): BenchChild {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    serialization: 'advanced',
    execArgv: [...process.execArgv, ...nodeArgs],
  });
  const ended = once(child, 'exit');
  // Whoever asks hears of it; nobody else needs to.
  ended.catch(() => {});
  return {
    pid: child.pid ?? Number.NaN,
    async ask(message, schema) {
      const settled = new AbortController();
      const { signal } = settled;
      try {
        const answer = once(child, 'message', { signal }).then(([received]) => received);
        const end = once(child, 'exit', { signal }).then(([code, by]) => {
          throw new Error(`${file} ended with ${by ?? `exit code ${code}`} before it answered`);
        });
        child.send(message);
        return schema.parse(await Promise.race([answer, end]));
      } finally {
        settled.abort();
      }
    },
    async close() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
