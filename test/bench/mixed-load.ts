/** The same lines of mixed widths, read by the worker path and the plain way. */
import type { LineCrop } from '@glyphmill/core/rectify';
import type { Reading } from '@glyphmill/core/spacing';
import { readingSchema } from '@glyphmill/inference/instance-messages';
import { openModels } from '@glyphmill/inference/models';
import { z } from 'zod';
import { openChild } from './bench-child.ts';
import { cpuMs } from './process-use.ts';
import { type Figures, InstanceTally } from './recognizer-load.ts';
import type { OpenLoad } from './take-turns.ts';
import type { UnsortedTask } from './unsorted-loop.ts';

export interface MixedLoad {
  repository: string;
  /** Processes that infer, each with one thread. */
  instances: number;
  lines: readonly LineCrop[];
}

export interface MixedFigures extends Figures {
  /** In the order of the lines. */
  readings: Reading[];
  /** Micro-batches that were run, or batches. */
  batches: number;
}

/** All lines handed to `openModels` at once, as those of the documents that a worker holds: it buckets them by width. */
export async function openBucketed({
  repository,
  instances,
  lines,
}: MixedLoad): Promise<OpenLoad<MixedFigures>> {
  const tally = new InstanceTally();
  const models = await openModels({
    repository,
    provider: 'cpu',
    instances: { detect: 1, recognize: instances },
    threads: 1,
    onBatch: (event) => tally.add(event),
    log: { info() {}, warn: console.error, error: console.error },
  });
  return {
    async run() {
      const pids = [process.pid, ...models.states().flatMap(({ pid }) => pid ?? [])];
      const cpuBefore = cpuMs(pids);
      const startMs = performance.now();
      tally.begin(startMs);
      const read = await Promise.all(lines.map((line) => models.recognize(line)));
      return {
        readings: read.map(({ reading }) => reading),
        batches: tally.batches,
        linesPerSecond: tally.linesPerSecond(),
        cpuMsPerLine: (cpuMs(pids) - cpuBefore) / lines.length,
        startMs,
        endMs: performance.now(),
      };
    },
    close: () => models.close(),
  };
}

const unsortedBatch = 16;
const readySchema = z.object({ ready: z.literal(true) });
const answerSchema = z.object({ readings: z.array(readingSchema) });

/**
 * Batches of 16 in the order in which the lines come, each padded to its widest, by bare processes that take the next
 * batch as soon as they are free. What this process does for them is not counted.
 */
export async function openUnsorted({
  repository,
  instances,
  lines,
}: MixedLoad): Promise<OpenLoad<MixedFigures>> {
  const children = Array.from({ length: instances }, () => openChild('unsorted-loop.ts'));
  const task: UnsortedTask = { repository, lines: [...lines] };
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
      const pids = children.map(({ pid }) => pid);
      const cpuBefore = cpuMs(pids);
      const startMs = performance.now();
      const readings: Reading[][] = [];
      let next = 0;
      const rates = await Promise.all(
        children.map(async (child) => {
          let done = 0;
          while (next * unsortedBatch < lines.length) {
            const batch = next++;
            const start = batch * unsortedBatch;
            const answer = await child.ask({ start, end: start + unsortedBatch }, answerSchema);
            readings[batch] = answer.readings;
            done += answer.readings.length;
          }
          return (1000 * done) / (performance.now() - startMs);
        }),
      );
      return {
        readings: readings.flat(),
        batches: next,
        linesPerSecond: rates.reduce((a, b) => a + b, 0),
        cpuMsPerLine: (cpuMs(pids) - cpuBefore) / lines.length,
        startMs,
        endMs: performance.now(),
      };
    },
    close,
  };
}
