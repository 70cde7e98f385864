import { argmaxSteps } from '@glyphmill/core/ctc';
import { InferenceSession } from 'onnxruntime-node';
import type { Comparison } from './import-note.ts';
import type { ModelConfig } from './model-config.ts';
import { type Probe, probes } from './model-probes.ts';
import { type Inferred, infer } from './session.ts';

/** Rounding of float32 alone moves a probability by less, where one answer is clearly the most likely. */
const tolerance = 1e-5;
/** The largest of some thousand roundings is by chance several times that of others; a wrong weight is far above. */
const floorFactor = 10;

/**
 * Runs two files of one model on `inputs`, in this process on its CPU, and says how far their outputs are apart. Throws
 * an `Error` where that is more than rounding does: above 1e-5, and above 10 × what the original itself moves by between
 * the runtime's optimisations and none. The config is the prepared file's; `output` is what the original calls its
 * scores.
 */
export async function compareModels(options: {
  original: string;
  prepared: string;
  config: ModelConfig;
  output: string;
  inputs?: readonly Probe[];
}): Promise<Comparison> {
  const { original, prepared, config, output, inputs = probes(config) } = options;
  const originalConfig = { ...config, output: { ...config.output, name: output }, indices: undefined };
  const before = await runAll(original, 'all', originalConfig, inputs);
  const unoptimized = await runAll(original, 'disabled', originalConfig, inputs);
  const after = await runAll(prepared, 'all', config, inputs);
  const differences = (others: readonly Inferred[]) =>
    Float64Array.from(before.flatMap((one, i) => differencesOf(config, one, others[i]))).sort();
  const found = differences(after);
  const comparison = {
    runs: inputs.length,
    outputs: found.length,
    ...distance(found),
    noiseFloor: distance(differences(unoptimized)),
  };
  const { largest, noiseFloor } = comparison;
  // NaN passes no comparison.
  if (largest <= Math.max(tolerance, floorFactor * noiseFloor.largest)) return comparison;
  throw new Error(
    `its outputs would differ by ${written(largest)}, where the runtime's own optimisations make ${written(noiseFloor.largest)}`,
  );
}

type Level = 'all' | 'disabled';

async function runAll(
  modelPath: string,
  graphOptimizationLevel: Level,
  config: ModelConfig,
  inputs: readonly Probe[],
): Promise<Inferred[]> {
  const session = await InferenceSession.create(modelPath, {
    graphOptimizationLevel,
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  try {
    const outputs: Inferred[] = [];
    for (const { data, dims } of inputs) outputs.push(await infer(session, config, data, dims));
    return outputs;
  } finally {
    await session.release();
  }
}

/** Of a detector for each pixel, of a recogniser for each step. */
function differencesOf({ settings }: ModelConfig, one: Inferred, other: Inferred | undefined): number[] {
  if (!other) return [Number.NaN];
  if (settings.role === 'detect') {
    const isSameSize = one.data.length === other.data.length;
    return isSameSize
      ? Array.from(one.data, (value, i) => Math.abs(value - (other.data[i] ?? Number.NaN)))
      : [Number.POSITIVE_INFINITY];
  }
  const [n = 0, steps = 0, classes = 0] = one.dims;
  const best = argmaxSteps(one.data, n, steps, classes);
  const { indices, scores } = other.indices
    ? { indices: other.indices.data, scores: other.data }
    : argmaxSteps(other.data, n, steps, classes);
  if (scores.length !== best.scores.length) return [Number.POSITIVE_INFINITY];
  return Array.from(best.scores, (score, step) => {
    // Another class is as far off as it was from being the best.
    const taken = one.data[step * classes + (indices[step] ?? -1)] ?? Number.NaN;
    return Math.max(Math.abs(score - (scores[step] ?? Number.NaN)), score - taken);
  });
}

/** Sorted, NaN last. */
function distance(differences: Float64Array): Comparison['noiseFloor'] {
  return {
    largest: differences.at(-1) ?? Number.NaN,
    in999Of1000: differences[Math.ceil(differences.length * 0.999) - 1] ?? Number.NaN,
  };
}

function written(difference: number): string {
  return difference.toExponential(1);
}
