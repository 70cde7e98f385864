/**
 * The main file of a bare process: session.run on one ready tensor in a loop, and nothing else. It is sent a `BareTask`,
 * says `ready` once warm, and runs whenever it is told for how long, so that several run at the same time.
 */
import { join } from 'node:path';
import { packLines } from '@glyphmill/core/recognition';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { readText } from '@glyphmill/inference/repository';
import { infer, openSession } from '@glyphmill/inference/session';
import { answerRequests } from './bench-answer.ts';
import { cpuMs } from './process-use.ts';
import { type BareTask, bareRunSchema, bareTaskSchema } from './recognizer-load.ts';

let runTensor: (() => Promise<unknown>) | undefined;

answerRequests(async (message) => {
  if (runTensor) return loop(runTensor, bareRunSchema.parse(message).seconds);
  runTensor = await open(bareTaskSchema.parse(message));
  await runTensor();
  return { ready: true };
});

async function open({ repository, provider, width, batch, lines }: BareTask) {
  const configPath = join(repository, 'ppocrv4-rec/config.pbtxt');
  const configText = await readText(configPath, 'config.pbtxt');
  const config = parseModelConfig(configText, configPath);
  const modelPath = join(repository, 'ppocrv4-rec/1/model.onnx');
  const threads = { intraThreads: 1, interThreads: 1 };
  const { session } = await openSession(
    { type: 'open', configText, configPath, modelPath, sha256: '', provider, gpu: 0, ...threads },
    config,
  );
  const crops = Array.from({ length: batch }, (_, row) => lines[row % lines.length]);
  const tensor = packLines(
    crops.flatMap((crop) => crop ?? []),
    width,
  );
  const dims = [batch, 3, crops[0]?.height ?? 0, width];
  return () => infer(session, config, tensor, dims);
}

async function loop(run: () => Promise<unknown>, seconds: number) {
  const runMs: number[] = [];
  const cpuBefore = cpuMs([process.pid]);
  const start = performance.now();
  for (let now = start; now < start + seconds * 1000; ) {
    await run();
    const end = performance.now();
    runMs.push(end - now);
    now = end;
  }
  return { runMs, cpuMs: cpuMs([process.pid]) - cpuBefore };
}
