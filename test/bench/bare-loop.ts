/**
 * The main file of a bare process: session.run on one ready tensor in a loop, and nothing else. Arguments: a `BareTask`
 * as JSON. Says `ready` once warm, starts when told, so that several run at the same time, and sends its figures.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { readText } from '@glyphmill/inference/repository';
import { infer, openSession } from '@glyphmill/inference/session';
import { bareTaskSchema, cpuMs, lineHeight } from './recognizer-load.ts';

const { repository, provider, seconds, width, batch } = bareTaskSchema.parse(
  JSON.parse(process.argv[2] ?? ''),
);
const configPath = join(repository, 'ppocrv4-rec/config.pbtxt');
const configText = await readText(configPath, 'config.pbtxt');
const config = parseModelConfig(configText, configPath);
const modelPath = join(repository, 'ppocrv4-rec/1/model.onnx');
const threads = { intraThreads: 1, interThreads: 1 };
const { session } = await openSession(
  { type: 'open', configText, configPath, modelPath, sha256: '', provider, gpu: 0, ...threads },
  config,
);
const tensor = new Float32Array(batch * 3 * lineHeight * width).fill(0.5);
const dims = [batch, 3, lineHeight, width];
await infer(session, config, tensor, dims);
process.send?.({ ready: true });
await once(process, 'message');
let lines = 0;
const cpuBefore = cpuMs([process.pid]);
const start = performance.now();
while (performance.now() < start + seconds * 1000) {
  await infer(session, config, tensor, dims);
  lines += batch;
}
const took = (performance.now() - start) / 1000;
process.send?.({ lines, seconds: took, cpuMs: cpuMs([process.pid]) - cpuBefore });
process.disconnect();
