import { argmaxSteps } from '@glyphmill/core/ctc';
import type { OpenMessage } from './instance-messages.ts';
import type { ModelConfig } from './model-config.ts';
import { type Inferred, infer, openSession, smallest } from './session.ts';

/** Probabilities that differ by less are the same: rounding moves them where two answers are nearly as likely. */
const tolerance = 1e-3;

export interface Comparison {
  runs: number;
  largestDifference: number;
}

/**
 * Runs two files of one model on noise, in this process on its CPU, and says how far their outputs are apart. Throws
 * an `Error` where that is 1e-3 or more, a best class differs, or an output is not a number. The config is the
 * prepared file's; `output` is what the original calls its scores.
 */
export async function compareModels(options: {
  original: string;
  prepared: string;
  config: ModelConfig;
  output: string;
}): Promise<Comparison> {
  const { config, output } = options;
  const originalConfig = { ...config, output: { ...config.output, name: output }, indices: undefined };
  const before = await openOn(options.original, originalConfig);
  const after = await openOn(options.prepared, config);
  try {
    const shapes = probeShapes(config);
    let largestDifference = 0;
    for (const dims of shapes) {
      const data = noise(dims);
      const one = await infer(before.session, originalConfig, data, dims);
      const other = await infer(after.session, config, data, dims);
      const found = difference(other.indices ? bestOf(one, other.indices.data) : one.data, other.data);
      // NaN passes no comparison.
      if (!(found < tolerance)) throw new Error(`the outputs for [${dims.join(', ')}] differ by ${found}`);
      largestDifference = Math.max(largestDifference, found);
    }
    return { runs: shapes.length, largestDifference };
  } finally {
    await before.session.release();
    await after.session.release();
  }
}

function openOn(modelPath: string, config: ModelConfig) {
  const open: OpenMessage = {
    type: 'open',
    configText: '',
    configPath: '',
    modelPath,
    sha256: '',
    provider: 'cpu',
    gpu: 0,
    intraThreads: 1,
    interThreads: 1,
  };
  return openSession(open, config);
}

/** One item of the smallest shape, and as many as two of a wider one where the model takes them. */
function probeShapes(config: ModelConfig): number[][] {
  const [n = 1, channels = 3, height = 32, width = 32] = smallest(config);
  const { settings, maxBatchSize, input } = config;
  const isOpen = (input.dims.at(-1) ?? -1) < 0;
  const wider =
    settings.role === 'recognize' ? (settings.widthLadder[1] ?? width) : isOpen ? width * 3 : width;
  return [
    [n, channels, height, width],
    [Math.min(2, Math.max(1, maxBatchSize)), channels, height, wider],
  ];
}

/** Numbers of a normalised image, the same every time. */
function noise(dims: readonly number[]): Float32Array {
  return Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 12.9898 + i * i));
}

/** The scores of the best classes, which must be those found. */
function bestOf({ data, dims }: Inferred, indices: Int32Array): Float32Array {
  const [n = 0, steps = 0, classes = 0] = dims;
  const best = argmaxSteps(data, n, steps, classes);
  const unlike = best.indices.findIndex((index, i) => index !== indices[i]);
  if (unlike < 0) return best.scores;
  throw new Error(`expected class ${best.indices[unlike]} at step ${unlike}, got ${indices[unlike]}`);
}

function difference(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (const [i, value] of one.entries()) {
    const distance = Math.abs(value - (other[i] ?? Number.NaN));
    if (!(distance <= most)) most = distance;
    if (Number.isNaN(most)) return most;
  }
  return most;
}
