/** What the benches of recognition share: the same load on our instances and on bare loops of the runtime. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openModels } from '@glyphmill/inference/models';
import { z } from 'zod';

/** Of the default recogniser, in pixels. */
export const lineHeight = 48;

export interface Figures {
  linesPerSecond: number;
  cpuMsPerLine: number;
  /** When it was measured, of this process's performance.now(): after loading and warming up. */
  startMs: number;
  endMs: number;
}

export interface Load {
  /** Holds the default models, the recogniser with this max_batch_size. */
  repository: string;
  provider: 'cpu' | 'cuda';
  /** Each with one thread. */
  instances: number;
  seconds: number;
  /** Pixels. */
  width: number;
  batch: number;
}

export const bareTaskSchema = z.object({
  repository: z.string(),
  provider: z.enum(['cpu', 'cuda']),
  seconds: z.number(),
  width: z.int(),
  batch: z.int(),
});

/** Lines through `openModels`, always enough of them under way for one micro-batch more than there are instances. */
export async function runOurs(load: Load): Promise<Figures> {
  const { repository, provider, instances, seconds, width, batch } = load;
  const sizes: number[] = [];
  const models = await openModels({
    repository,
    provider,
    instances: { detect: 1, recognize: instances },
    threads: 1,
    onBatch: ({ size }) => sizes.push(size),
    log: { info() {}, warn: console.error, error: console.error },
  });
  const line = {
    width,
    height: lineHeight,
    data: new Uint8Array(width * lineHeight * 3).fill(200),
  };
  await Promise.all(Array.from({ length: instances * batch * 2 }, () => models.recognize(line)));
  let done = 0;
  sizes.length = 0;
  const pids = [process.pid, ...models.states().flatMap(({ pid }) => pid ?? [])];
  const cpuBefore = cpuMs(pids);
  const startMs = performance.now();
  const until = startMs + seconds * 1000;
  const one = async () => {
    while (performance.now() < until) {
      await models.recognize(line);
      done++;
    }
  };
  await Promise.all(Array.from({ length: (instances + 1) * batch }, one));
  const endMs = performance.now();
  const figures = {
    linesPerSecond: done / ((endMs - startMs) / 1000),
    cpuMsPerLine: (cpuMs(pids) - cpuBefore) / done,
    startMs,
    endMs,
  };
  const fill = sizes.reduce((sum, size) => sum + size, 0) / sizes.length / batch;
  if (fill < 0.9) console.log(`mean fill ${fill.toFixed(2)}`);
  await models.close();
  return figures;
}

const readySchema = z.object({ ready: z.literal(true) });
const doneSchema = z.object({ lines: z.number(), seconds: z.number(), cpuMs: z.number() });

/** As many bare processes as there are instances, all started once the last is warm. */
export async function runBare({ instances, ...load }: Load): Promise<Figures> {
  const task = JSON.stringify(bareTaskSchema.parse(load));
  const main = fileURLToPath(new URL('./bare-loop.ts', import.meta.url));
  const children = Array.from({ length: instances }, () => fork(main, [task]));
  try {
    await Promise.all(children.map(async (child) => readySchema.parse(await answerOf(child))));
    const startMs = performance.now();
    const done = await Promise.all(
      children.map(async (child) => {
        const answer = answerOf(child);
        child.send('go');
        return doneSchema.parse(await answer);
      }),
    );
    const lines = done.reduce((sum, run) => sum + run.lines, 0);
    return {
      linesPerSecond: done.reduce((sum, run) => sum + run.lines / run.seconds, 0),
      cpuMsPerLine: done.reduce((sum, run) => sum + run.cpuMs, 0) / lines,
      startMs,
      endMs: performance.now(),
    };
  } finally {
    for (const child of children) child.kill();
  }
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const settled = new AbortController();
  const { signal } = settled;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`a bare process ended with exit code ${code} before it answered`);
      }),
    ]);
  } finally {
    settled.abort();
  }
}

/** User and system time of the processes so far, from Linux's /proc in its ticks of 10 ms. */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(afterName[11]) + Number(afterName[12])) * 10;
  }, 0);
}
