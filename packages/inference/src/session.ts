import { InferenceSession, Tensor } from 'onnxruntime-node';
import { cudaLibraryMissing } from './cuda-library.ts';
import { cudaProof } from './cuda-proof.ts';
import type { OpenMessage } from './instance-messages.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { ModelError } from './model-error.ts';

export interface OpenedSession {
  session: InferenceSession;
  provider: 'cpu' | 'cuda';
  /** Why `auto` did not take CUDA. */
  providerReason?: string;
}

type Options = InferenceSession.SessionOptions;

/**
 * One ONNX session on the provider asked for. `cuda` fails closed: without proof that the heavy operators run on
 * the GPU it throws `provider-unavailable`; `auto` then takes the CPU and says why.
 */
export async function openSession(open: OpenMessage, config: ModelConfig): Promise<OpenedSession> {
  const options = sessionOptions(open, config);
  if (open.provider === 'cpu') return { session: await openCpu(open, options), provider: 'cpu' };
  try {
    return { session: await openCuda(open, config, options), provider: 'cuda' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof ModelConfigError) throw error;
    if (open.provider === 'cuda')
      throw new ModelError(
        'provider-unavailable',
        `${config.name}: expected a working CUDA provider, found none: ${reason}. Install CUDA 12 and its ONNX Runtime libraries, or set instance_group.kind: KIND_CPU`,
        { cause: error },
      );
    return { session: await openCpu(open, options), provider: 'cpu', providerReason: reason };
  }
}

function sessionOptions(open: OpenMessage, { session }: ModelConfig): Options {
  return {
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: open.intraThreads,
    interOpNumThreads: open.interThreads,
    enableCpuMemArena: session.memoryArena,
    enableMemPattern: session.memoryPattern,
    logSeverityLevel: 3,
    // A spinning pool burns the core that another instance could use.
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  };
}

function openCpu(open: OpenMessage, options: Options): Promise<InferenceSession> {
  return InferenceSession.create(open.modelPath, { ...options, executionProviders: ['cpu'] });
}

async function openCuda(open: OpenMessage, config: ModelConfig, options: Options): Promise<InferenceSession> {
  const missing = cudaLibraryMissing();
  if (missing !== undefined) throw new Error(missing);
  const onCuda: Options = { ...options, executionProviders: [{ name: 'cuda', deviceId: open.gpu }] };
  await cudaProof(open.modelPath, onCuda, async (session) => {
    checkSignature(session, config, open.configPath);
    await infer(
      session,
      config,
      new Float32Array(smallest(config).reduce((a, b) => a * b)),
      smallest(config),
    );
  });
  return InferenceSession.create(open.modelPath, onCuda);
}

/** The smallest input [1, channels, height, width] that the model takes. */
export function smallest(config: ModelConfig): number[] {
  const [channels = 3, height = -1, width = -1] = itemDims(config);
  const side = config.settings.role === 'recognize' ? config.settings.height : 32;
  const narrowest = config.settings.role === 'recognize' ? (config.settings.widthLadder[0] ?? 64) : 32;
  return [1, channels, height > 0 ? height : side, width > 0 ? width : narrowest];
}

/** [channels, height, width] of one item, -1 where open. */
function itemDims({ input, maxBatchSize }: ModelConfig): readonly number[] {
  return maxBatchSize === 0 ? input.dims.slice(1) : input.dims;
}

/** What a model answered: its float32 output, and where it has them the best classes. */
export interface Inferred {
  data: Float32Array;
  dims: readonly number[];
  indices: { data: Int32Array; dims: readonly number[] } | undefined;
}

/** Runs `data` of shape `dims`; throws `bad-output` unless the outputs are float32 and int32 of a whole shape. */
export async function infer(
  session: InferenceSession,
  { name, input, output, indices }: ModelConfig,
  data: Float32Array,
  dims: readonly number[],
): Promise<Inferred> {
  const wanted = indices ? [output.name, indices.name] : [output.name];
  const results = await session.run({ [input.name]: new Tensor('float32', data, dims) }, wanted);
  const tensor = results[output.name];
  if (!tensor || !('dims' in tensor) || !(tensor.data instanceof Float32Array))
    throw new ModelError('bad-output', `${name}: expected float32 in output ${output.name}`);
  const found = { data: tensor.data, dims: tensor.dims };
  if (!indices) return { ...found, indices: undefined };
  const best = results[indices.name];
  if (!best || !('dims' in best) || !(best.data instanceof Int32Array))
    throw new ModelError('bad-output', `${name}: expected int32 in output ${indices.name}`);
  return { ...found, indices: { data: best.data, dims: best.dims } };
}

/** Holds the model's own inputs and outputs against its config. Throws `ModelConfigError`. */
export function checkSignature(session: InferenceSession, config: ModelConfig, file: string): void {
  const mistake = (field: string, problem: string, remedy: string) =>
    new ModelConfigError({ file, field, problem, remedy });
  const inputs = { field: 'input', names: session.inputNames, metadata: session.inputMetadata };
  const outputs = { field: 'output', names: session.outputNames, metadata: session.outputMetadata };
  const sides = [
    { ...inputs, wanted: config.input, type: 'float32' },
    { ...outputs, wanted: config.output, type: 'float32' },
    ...(config.indices ? [{ ...outputs, wanted: config.indices, type: 'int32' }] : []),
  ];
  for (const { field, names, metadata, wanted, type } of sides) {
    const found = metadata.find(({ name }) => name === wanted.name);
    if (!found?.isTensor)
      throw mistake(
        `${field}.name`,
        `the model has no ${field} "${wanted.name}"`,
        `It has: ${names.join(', ')}`,
      );
    if (found.type !== type)
      throw mistake(`${field}.data_type`, `the model's is ${found.type}`, `Use a model with ${type} here`);
    const [batch] = found.shape;
    if (config.maxBatchSize > 1 && typeof batch === 'number')
      throw mistake(
        'max_batch_size',
        `the model's batch dimension is fixed at ${batch}`,
        `Set max_batch_size: ${batch}, or export the model with an open batch dimension`,
      );
    const dims = config.maxBatchSize === 0 ? wanted.dims : [-1, ...wanted.dims];
    if (!shapesAgree(dims, found.shape))
      throw mistake(
        `${field}.dims`,
        `[${wanted.dims.join(', ')}] does not fit the model's [${found.shape.join(', ')}]`,
        'Give the dims of the model, without the batch dimension, and -1 where a side is open',
      );
  }
}

function shapesAgree(wanted: readonly number[], found: readonly (number | string)[]): boolean {
  // Some exports leave the shape of an output out altogether; the warm-up run then decides.
  if (found.length === 0) return true;
  return (
    wanted.length === found.length &&
    wanted.every((dim, i) => i === 0 || typeof found[i] === 'string' || found[i] === dim)
  );
}
