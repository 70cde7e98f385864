/**
 * The main file of a process that is to a worker what its inference is: openModels, and lines read through it over and
 * over. It is sent a `MemoryTask`, then again and again a number of lines; once so many are read it says which processes
 * take part. Meanwhile it reads on.
 */
import { type Models, openModels } from '@glyphmill/inference/models';
import { z } from 'zod';
import { answerRequests } from './bench-answer.ts';
import { lineSchema } from './recognizer-load.ts';

const taskSchema = z.object({
  repository: z.string(),
  instances: z.int(),
  /** Lines to read. */
  total: z.int(),
  lines: z.array(lineSchema).min(1),
});
export type MemoryTask = z.infer<typeof taskSchema>;
const questionSchema = z.object({ lines: z.int() });

/** Lines under way at once. */
const inFlight = 256;

let models: Models | undefined;
let read = 0;
let waiting: { lines: number; tell: () => void } | undefined;

answerRequests(async (message) => {
  if (models) await whenRead(questionSchema.parse(message).lines);
  else models = await start(taskSchema.parse(message));
  const states = models.states();
  globalThis.gc?.();
  return {
    lines: read,
    pids: [process.pid, ...states.flatMap(({ pid }) => pid ?? [])],
    restarts: states.reduce((sum, { restarts }) => sum + restarts, 0),
  };
});

/** Opens the models and begins to read; a line that fails ends the process. */
async function start({ repository, instances, total, lines }: MemoryTask): Promise<Models> {
  const opened = await openModels({
    repository,
    provider: 'cpu',
    instances: { detect: 1, recognize: instances },
    threads: 1,
    log: { info() {}, warn: console.error, error: console.error },
  });
  let begun = 0;
  const readMany = async () => {
    while (begun < total) {
      const line = lines[begun++ % lines.length];
      if (line) await opened.recognize(line);
      read += 1;
      if (waiting && read >= waiting.lines) waiting.tell();
    }
  };
  for (let slot = 0; slot < inFlight; slot++) void readMany();
  return opened;
}

async function whenRead(lines: number): Promise<void> {
  if (read >= lines) return;
  await new Promise<void>((tell) => {
    waiting = { lines, tell };
  });
}
