/**
 * The main file of a process that reads lines the plain way: whatever batch it is told, padded to its widest line. It
 * packs, infers and decodes with the worker's own code on the worker's own model; only the batches are others.
 */
import { join } from 'node:path';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { openRecognizer } from '@glyphmill/inference/recognizer';
import { readText } from '@glyphmill/inference/repository';
import type { Runner } from '@glyphmill/inference/runner';
import { openSession } from '@glyphmill/inference/session';
import { z } from 'zod';
import { answerRequests } from './bench-answer.ts';
import { lineSchema } from './recognizer-load.ts';

const taskSchema = z.object({ repository: z.string(), lines: z.array(lineSchema).min(1) });
export type UnsortedTask = z.infer<typeof taskSchema>;
const batchSchema = z.object({ start: z.int(), end: z.int() });

let opened: { runner: Runner; lines: UnsortedTask['lines'] } | undefined;

answerRequests(async (message) => {
  if (!opened) {
    opened = await open(taskSchema.parse(message));
    return { ready: true };
  }
  const { start, end } = batchSchema.parse(message);
  const batch = opened.lines.slice(start, end);
  const { outputs } = await opened.runner.run(batch, Math.max(...batch.map(({ width }) => width)));
  return { readings: outputs };
});

async function open({ repository, lines }: UnsortedTask) {
  const directory = join(repository, 'ppocrv4-rec');
  const configPath = join(directory, 'config.pbtxt');
  const configText = await readText(configPath, 'config.pbtxt');
  const config = parseModelConfig(configText, configPath);
  const { settings } = config;
  if (settings.role !== 'recognize') throw new Error(`${configPath}: expected a recogniser`);
  const modelPath = join(directory, '1/model.onnx');
  const threads = { intraThreads: 1, interThreads: 1 };
  const { session, provider } = await openSession(
    { type: 'open', configText, configPath, modelPath, sha256: '', provider: 'cpu', gpu: 0, ...threads },
    config,
  );
  const labelPath = join(directory, config.output.labelFilename ?? '');
  const labelText = await readText(labelPath, 'output.label_filename');
  return {
    runner: await openRecognizer({ session, config, settings, provider, labelText, labelPath }),
    lines,
  };
}
