import { type Refuse, refuser } from './model-config-error.ts';
import { inspectModel, type OnnxValueInfo } from './onnx-inspect.ts';

/** What whoever imports a model says of it, where its file leaves that open. */
export interface ShapeOptions {
  role: 'detect' | 'recognize' | undefined;
  /** The output to read, where the model has several that could be. */
  output: string | undefined;
  maxBatchSize: number | undefined;
  /** Pixels of a line. */
  height: number | undefined;
  /** Pixels, ascending. */
  widthLadder: readonly number[] | undefined;
}

/** What a config.pbtxt says of a model file; dims are without the batch, -1 where open. */
export interface ModelShape {
  role: 'detect' | 'recognize';
  maxBatchSize: number;
  input: { name: string; dims: number[] };
  /** A detector's map or a recogniser's score of every class: [1, height, width] or [steps, classes]. */
  output: { name: string; dims: number[] };
  /** Of the output, where the model says how many there are. */
  classes: number | undefined;
  height: number | undefined;
  widthLadder: readonly number[] | undefined;
}

/** On a CPU larger micro-batches of lines gain nothing; pages are large enough alone. */
const defaultBatchSize = { recognize: 8, detect: 1 } as const;

/** Reads from an ONNX file how it is to be run. Throws `ModelConfigError` where it is no detector or recogniser. */
export function modelShape(bytes: Uint8Array, file: string, options: ShapeOptions): ModelShape {
  const refuse: Refuse = refuser(file);
  const { inputs, outputs } = inspect(bytes, refuse);
  const input = imageInput(inputs, refuse);
  const output = scoreOutput(outputs, options, refuse);
  const [, ...dims] = input.dims.map(toDim);
  const { role, dims: outputDims } = roleOf(output, options, refuse);
  const [, height = -1, width = -1] = dims;
  if (role === 'recognize' && height < 0 && options.height === undefined)
    refuse(
      'input',
      'the model leaves the height of lines open',
      'Name the height that it was trained with: --height 48',
    );
  if (role === 'detect' && (options.height ?? options.widthLadder) !== undefined)
    refuse(
      'role',
      'a height or ladder of widths is for recognisers',
      'Leave them out, or name --role recognize',
    );
  return {
    role,
    maxBatchSize: batchSize(input, options.maxBatchSize ?? defaultBatchSize[role], options, refuse),
    input: { name: input.name, dims },
    output: { name: output.name, dims: outputDims },
    classes: role === 'recognize' && (outputDims[1] ?? -1) > 0 ? outputDims[1] : undefined,
    height: height < 0 ? options.height : fixedAs('height', height, options.height, refuse),
    widthLadder: width < 0 ? options.widthLadder : fixedLadder(width, options.widthLadder, refuse),
  };
}

function inspect(bytes: Uint8Array, refuse: Refuse) {
  try {
    return inspectModel(bytes);
  } catch (error) {
    return refuse(
      'file',
      error instanceof Error ? error.message : String(error),
      'Export or copy the model again',
    );
  }
}

function imageInput(inputs: readonly OnnxValueInfo[], refuse: Refuse): OnnxValueInfo {
  const [input, ...others] = inputs;
  const found = inputs.map(written).join('; ');
  if (!input || others.length > 0 || input.type !== 'float32' || input.dims.length !== 4)
    return refuse(
      'input',
      `expected one float32 [n, 3, height, width], found ${found}`,
      'Export a model of images',
    );
  if (typeof input.dims[1] === 'number' && input.dims[1] !== 3)
    refuse(
      'input',
      `expected 3 channels first, found ${found}`,
      'Export the model with channels first and in colour',
    );
  return { ...input, dims: input.dims.map((dim, i) => (i === 1 ? 3 : dim)) };
}

function scoreOutput(outputs: readonly OnnxValueInfo[], { output: wanted }: ShapeOptions, refuse: Refuse) {
  const candidates = outputs.filter(
    ({ name, type, dims }) =>
      type === 'float32' && [0, 3, 4].includes(dims.length) && (wanted === undefined || name === wanted),
  );
  const [output, ...others] = candidates;
  if (output && others.length === 0) return output;
  const found = outputs.map(written).join('; ');
  return refuse(
    'output',
    `expected one float32 [n, steps, classes] or [n, 1, height, width], found ${found}`,
    others.length > 0 ? 'Name the one to read: --output' : 'Export the model with the scores of its classes',
  );
}

function roleOf({ name, dims }: OnnxValueInfo, { role }: ShapeOptions, refuse: Refuse) {
  const found = dims.length === 3 ? 'recognize' : dims.length === 4 ? 'detect' : role;
  if (found === undefined)
    return refuse(
      'output',
      `the model does not say the shape of "${name}"`,
      'Say what it is: --role recognize or detect',
    );
  if (role !== undefined && role !== found)
    refuse(
      'role',
      `[${dims.join(', ')}] is not the output of a model that should ${role}`,
      `Name --role ${found}`,
    );
  const open = found === 'recognize' ? [-1, -1] : [1, -1, -1];
  return { role: found, dims: dims.length === 0 ? open : dims.slice(1).map(toDim) };
}

function batchSize(
  { dims: [batch] }: OnnxValueInfo,
  size: number,
  asked: ShapeOptions,
  refuse: Refuse,
): number {
  if (typeof batch !== 'number') return size;
  if (batch === 1 && (asked.maxBatchSize ?? 1) === 1) return 1;
  return refuse(
    'input',
    `the model's batch dimension is fixed at ${batch}`,
    `Export it with an open one${batch === 1 ? ', or import it with --max-batch-size 1' : ''}`,
  );
}

function fixedAs(name: string, fixed: number, asked: number | undefined, refuse: Refuse): number {
  if (asked === undefined || asked === fixed) return fixed;
  return refuse('input', `its ${name} is fixed at ${fixed}, not ${asked}`, `Leave --${name} out`);
}

function fixedLadder(width: number, asked: readonly number[] | undefined, refuse: Refuse): undefined {
  if (asked === undefined || asked.join() === String(width)) return undefined;
  return refuse('input', `its width is fixed at ${width}`, 'Leave --width-ladder out');
}

function written({ name, type, dims }: OnnxValueInfo): string {
  return `${name} ${type} [${dims.join(', ')}]`;
}

function toDim(dim: number | string): number {
  return typeof dim === 'number' ? dim : -1;
}

/** The config.pbtxt of a new model. `best`: its graph gives the best classes and their scores in place of all. */
export function configText(
  name: string,
  shape: ModelShape,
  {
    best,
    labels,
  }: { best: { indices: string; scores: string; classes: number } | undefined; labels: string | undefined },
): string {
  const { role, input, output, maxBatchSize, height, widthLadder } = shape;
  const label = labels === undefined ? '' : ` label_filename: ${JSON.stringify(labels)}`;
  const value = (field: string, of: string, type: string, dims: readonly number[], end = '') =>
    `${field} { name: ${JSON.stringify(of)} data_type: ${type} dims: [${dims.join(', ')}]${end} }`;
  const steps = output.dims.slice(0, 1);
  const parameter = (key: string, text: string | number | undefined) =>
    text === undefined ? [] : [`parameters { key: "${key}" value { string_value: "${text}" } }`];
  const isOpen = (side: number) => (input.dims[side] ?? -1) < 0;
  return `${[
    `name: "${name}"`,
    'platform: "onnxruntime_onnx"',
    `max_batch_size: ${maxBatchSize}`,
    value('input', input.name, 'TYPE_FP32', input.dims),
    ...(best
      ? [
          value('output', best.indices, 'TYPE_INT32', steps, label),
          value('output', best.scores, 'TYPE_FP32', steps),
        ]
      : [value('output', output.name, 'TYPE_FP32', output.dims, label)]),
    'instance_group { kind: KIND_AUTO }',
    ...(maxBatchSize > 1 ? ['dynamic_batching { max_queue_delay_microseconds: 5000 }'] : []),
    ...parameter('role', role),
    ...parameter('classes', best?.classes),
    ...parameter('height', role === 'recognize' && isOpen(1) ? height : undefined),
    ...parameter('width_ladder', isOpen(2) ? widthLadder?.join(',') : undefined),
  ].join('\n')}\n`;
}
