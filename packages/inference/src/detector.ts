import { packPage } from '@glyphmill/core/detection';
import { findRegions, type Region } from '@glyphmill/core/regions';
import type { InferenceSession } from 'onnxruntime-node';
import { type BatchShapes, batchShapes } from './batch-shapes.ts';
import type { ImageBytes } from './instance-messages.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelError } from './model-error.ts';
import type { DetectSettings } from './model-parameters.ts';
import { allSheets, mapOfPage, type Sheets, sheetFor, sheetsOf } from './page-sheets.ts';
import { settleProbabilities } from './probabilities.ts';
import { type Runner, stopwatch } from './runner.ts';
import { infer, smallest } from './session.ts';

interface Detector {
  session: InferenceSession;
  config: ModelConfig;
  settings: DetectSettings;
  sheets: Sheets;
  /** Rows beyond the pages of a micro-batch are blank. */
  shapes: BatchShapes;
}

/**
 * Pages of one size → their text regions, in the pixels of the page that was sent. Warm when it resolves: on a GPU
 * every shape that is run was run once.
 */
export async function openDetector(options: {
  session: InferenceSession;
  config: ModelConfig;
  settings: DetectSettings;
  provider: 'cpu' | 'cuda';
}): Promise<Runner> {
  const { config, settings, provider } = options;
  const detector = {
    ...options,
    sheets: sheetsOf(config, settings, provider),
    shapes: batchShapes(config, provider),
  };
  await warmUp(detector);
  return { labels: 0, run: (pages) => detect(detector, pages) };
}

async function warmUp(detector: Detector): Promise<void> {
  const { config, sheets, shapes } = detector;
  const [, , height = 32, width = 32] = smallest(config);
  const few = allSheets(sheets);
  for (const size of few.length > 0 ? few : [{ width, height }]) {
    const warmed = shapes.warmed(size.width * size.height);
    for (const rows of warmed.length > 0 ? warmed : [1]) await detect(detector, copies(blank(size), rows));
  }
  for (const { batchSize, dims, count } of config.warmups) {
    const [, h = 32, w = 32] = dims;
    const pages = copies(blank({ width: w, height: h }), batchSize);
    for (let i = 0; i < count; i++) await detect(detector, pages);
  }
}

function blank({ width, height }: { width: number; height: number }): ImageBytes {
  return { width, height, data: new Uint8Array(width * height * 3) };
}

function copies(page: ImageBytes, count: number): ImageBytes[] {
  return Array.from({ length: count }, () => page);
}

async function detect({ session, config, settings, sheets, shapes }: Detector, pages: readonly ImageBytes[]) {
  const seconds = { packSeconds: 0, inferSeconds: 0, postSeconds: 0 };
  const lap = stopwatch();
  const outputs: Region[][] = [];
  const [first] = pages;
  if (!first) return { outputs, seconds };
  const sheet = sheetFor(first, sheets);
  const { width, height } = sheet;
  const area = width * height;
  const most = shapes.most(area);
  for (let start = 0; start < pages.length; start += most) {
    const part = pages.slice(start, start + most);
    const rows = shapes.rows(part.length, area);
    const tensor = new Float32Array(rows * 3 * area);
    for (const [row, page] of part.entries()) tensor.set(packPage(page, sheet), row * 3 * area);
    lap((s) => (seconds.packSeconds += s));
    const output = await infer(session, config, tensor, [rows, 3, height, width]);
    lap((s) => (seconds.inferSeconds += s));
    assertMap(config.name, output, [rows, 1, height, width]);
    for (const [row, page] of part.entries()) {
      const map = output.data.subarray(row * area, (row + 1) * area);
      outputs.push(findRegions(mapOfPage(map, sheet, page), page, settings));
    }
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
