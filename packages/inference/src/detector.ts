import { packPage } from '@glyphmill/core/detection';
import { findRegions, type Region } from '@glyphmill/core/regions';
import type { InferenceSession } from 'onnxruntime-node';
import type { ImageBytes } from './instance-messages.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelError } from './model-error.ts';
import type { DetectSettings } from './model-parameters.ts';
import { settleProbabilities } from './probabilities.ts';
import { type Runner, stopwatch } from './runner.ts';
import { infer, smallest } from './session.ts';

/** Pages of one size → their text regions, in the pixels of the page that was sent. Warm when it resolves. */
export async function openDetector(
  session: InferenceSession,
  config: ModelConfig,
  settings: DetectSettings,
): Promise<Runner> {
  const [, , height = 32, width = 32] = smallest(config);
  const run = (pages: readonly ImageBytes[]) => detect(session, config, settings, pages);
  await run([{ width, height, data: new Uint8Array(width * height * 3) }]);
  for (const { batchSize, dims, count } of config.warmups) {
    const [, h = 32, w = 32] = dims;
    const page = { width: w, height: h, data: new Uint8Array(w * h * 3) };
    for (let i = 0; i < count; i++) await run(Array.from({ length: batchSize }, () => page));
  }
  return { labels: 0, run };
}

async function detect(
  session: InferenceSession,
  config: ModelConfig,
  settings: DetectSettings,
  pages: readonly ImageBytes[],
) {
  const seconds = { packSeconds: 0, inferSeconds: 0, postSeconds: 0 };
  const lap = stopwatch();
  const outputs: Region[][] = [];
  const [first] = pages;
  if (!first) return { outputs, seconds };
  const { width, height } = first;
  const area = width * height;
  const rows = Math.max(1, Math.min(pages.length, Math.floor(config.maxBatchPixels / area)));
  for (let start = 0; start < pages.length; start += rows) {
    const part = pages.slice(start, start + rows);
    const tensor = new Float32Array(part.length * 3 * area);
    for (const [row, page] of part.entries()) tensor.set(packPage(page), row * 3 * area);
    lap((s) => (seconds.packSeconds += s));
    const output = await infer(session, config, tensor, [part.length, 3, height, width]);
    lap((s) => (seconds.inferSeconds += s));
    assertMap(config.name, output, [part.length, 1, height, width]);
    for (let row = 0; row < part.length; row++)
      outputs.push(
        findRegions(output.data.subarray(row * area, (row + 1) * area), { width, height }, settings),
      );
    lap((s) => (seconds.postSeconds += s));
  }
  return { outputs, seconds };
}

function assertMap(
  name: string,
  { data, dims }: { data: Float32Array; dims: readonly number[] },
  wanted: readonly number[],
): void {
  if (dims.length !== wanted.length || dims.some((dim, i) => dim !== wanted[i]))
    throw new ModelError('bad-output', `${name}: expected [${wanted.join(', ')}], got [${dims.join(', ')}]`);
  // NaN passes no comparison, so it would count as "no text here".
  const wrong = settleProbabilities(data);
  if (wrong !== undefined)
    throw new ModelError('bad-output', `${name}: expected probabilities from 0 to 1, got ${wrong}`);
}
