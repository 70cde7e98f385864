/** What the benches of recognition share: the same lines on our instances and on bare loops of the runtime. */
import type { LineCrop } from '@glyphmill/core/rectify';
import { type BatchEvent, openModels } from '@glyphmill/inference/models';
import { z } from 'zod';
import { openChild } from './bench-child.ts';
import { cpuMs } from './process-use.ts';
import { sum } from './statistics.ts';
import type { OpenLoad } from './take-turns.ts';

/** Of the default recogniser, in pixels. */
export const lineHeight = 48;

export interface Figures {
  /** Of each process up to the end of its own last run, added up: what is idle at the very end does not count. */
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
  /** How long each run lasts. */
  seconds: number;
  /** Pixels that the lines are padded to. */
  width: number;
  batch: number;
  /** One or more, of which none is wider than `width`. They are read over and over. */
  lines: readonly LineCrop[];
}

/** Of 0 to 1; a closed loop with batches that go partly empty does not measure what it says. */
const leastFill = 0.9;

/** Lines through `openModels`, always enough of them under way for one micro-batch more than there are instances. */
export async function openOurs(load: Load): Promise<OpenLoad<Figures>> {
  const { repository, provider, instances, seconds, batch, lines } = load;
  const tally = new InstanceTally();
  const models = await openModels({
    repository,
    provider,
    instances: { detect: 1, recognize: instances },
    threads: 1,
    onBatch: (event) => tally.add(event),
    log: { info() {}, warn: console.error, error: console.error },
  });
  let next = 0;
  const readOne = async () => {
    const line = lines[next++ % lines.length];
    if (line) await models.recognize(line);
  };
  await Promise.all(Array.from({ length: instances * batch * 2 }, readOne));
  return {
    async run() {
      const pids = [process.pid, ...models.states().flatMap(({ pid }) => pid ?? [])];
      const cpuBefore = cpuMs(pids);
      const startMs = performance.now();
      tally.begin(startMs);
      const until = startMs + seconds * 1000;
      const readMany = async () => {
        while (performance.now() < until) await readOne();
      };
      await Promise.all(Array.from({ length: (instances + 1) * batch }, readMany));
      const endMs = performance.now();
      const fill = tally.lines / tally.batches / batch;
      if (fill < leastFill) console.error(`only ${fill.toFixed(2)} of each micro-batch were filled`);
      const cpuMsPerLine = (cpuMs(pids) - cpuBefore) / tally.lines;
      return { linesPerSecond: tally.linesPerSecond(), cpuMsPerLine, startMs, endMs };
    },
    close: () => models.close(),
  };
}

/** Counts the lines of each instance and notes when its last micro-batch ended. */
export class InstanceTally {
  readonly #instances = new Map<number, { lines: number; endMs: number }>();
  #startMs = 0;
  batches = 0;

  begin(startMs: number): void {
    this.#instances.clear();
    this.#startMs = startMs;
    this.batches = 0;
  }

  /** Call it when the micro-batch ends; one that failed does not count. */
  add({ instance, size, outcome }: BatchEvent): void {
    if (outcome !== 'done') return;
    const { lines } = this.#instances.get(instance) ?? { lines: 0 };
    this.#instances.set(instance, { lines: lines + size, endMs: performance.now() });
    this.batches += 1;
  }

  get lines(): number {
    return sum([...this.#instances.values()].map(({ lines }) => lines));
  }

  linesPerSecond(): number {
    return sum(
      [...this.#instances.values()].map(({ lines, endMs }) => (1000 * lines) / (endMs - this.#startMs)),
    );
  }
}

/** A `LineCrop` as it is sent to another process. */
export const lineSchema = z.object({
  width: z.int(),
  height: z.int(),
  data: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
});

export const bareTaskSchema = z.object({
  repository: z.string(),
  provider: z.enum(['cpu', 'cuda']),
  width: z.int(),
  batch: z.int(),
  lines: z.array(lineSchema).min(1),
});
export type BareTask = z.infer<typeof bareTaskSchema>;
export const bareRunSchema = z.object({ seconds: z.number() });

const readySchema = z.object({ ready: z.literal(true) });
const doneSchema = z.object({ runMs: z.array(z.number()).min(1), cpuMs: z.number() });

export interface BareFigures extends Figures {
  /** How long each run took, of all processes. */
  runMs: number[];
}

/** As many bare processes as there are instances, each with a ready tensor of its own; all run at the same time. */
export async function openBare({ instances, seconds, lines, ...load }: Load): Promise<OpenLoad<BareFigures>> {
  const { batch } = load;
  const task: BareTask = { ...load, lines: [...lines] };
  const children = Array.from({ length: instances }, () => openChild('bare-loop.ts'));
  const close = async () => {
    await Promise.all(children.map((child) => child.close()));
  };
  try {
    await Promise.all(children.map((child) => child.ask(task, readySchema)));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async run() {
      const startMs = performance.now();
      const done = await Promise.all(children.map((child) => child.ask({ seconds }, doneSchema)));
      const runMs = done.flatMap((run) => run.runMs);
      return {
        linesPerSecond: sum(done.map((run) => (1000 * batch * run.runMs.length) / sum(run.runMs))),
        cpuMsPerLine: sum(done.map((run) => run.cpuMs)) / (batch * runMs.length),
        startMs,
        endMs: performance.now(),
        runMs,
      };
    },
    close,
  };
}

/** Opens a load, runs it once and closes it: where two that are open would be in each other's way, as on a GPU. */
export async function runOnce<F>(opening: Promise<OpenLoad<F>>): Promise<F> {
  const load = await opening;
  try {
    return await load.run();
  } finally {
    await load.close();
  }
}
