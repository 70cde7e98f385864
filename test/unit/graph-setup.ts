/** What the tests of graph work share: small models written by hand, and running them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModelConfig, parseModelConfig } from '@glyphmill/inference/model-config';
import {
  encodeModel,
  type OnnxAttribute,
  type OnnxNode,
  type OnnxValue,
} from '@glyphmill/inference/onnx-model';
import { floatAttribute, floatTensor, intAttribute, intsAttribute } from '@glyphmill/inference/onnx-tensor';
import { infer, openSession } from '@glyphmill/inference/session';

export interface Layer {
  type: string;
  input: string[];
  output: string | string[];
  attributes?: OnnxAttribute[];
}

export interface Constant {
  dims: number[];
  values: readonly number[];
}

export interface Graph {
  layers: Layer[];
  constants?: Record<string, Constant>;
  outputs?: string[];
  /** Default 13. */
  opset?: number;
  /** Default 8. */
  irVersion?: number;
  /** Default: open, without dims. */
  outputDims?: (number | string)[];
}

/** A model with the input x [n, 3, h, w] and by default the output y. */
export function modelOf(graph: Graph): Uint8Array {
  const { layers, constants = {}, outputs = ['y'], opset = 13, irVersion = 8, outputDims } = graph;
  return encodeModel({
    ir_version: BigInt(irVersion),
    opset_import: [{ domain: '', version: BigInt(opset) }],
    graph: {
      name: 'small',
      node: layers.map(toNode),
      initializer: Object.entries(constants).map(([name, { dims, values }]) =>
        floatTensor(name, dims, Float32Array.from(values)),
      ),
      input: [toValue('x', ['n', 3, 'h', 'w'])],
      output: outputs.map((name) => toValue(name, outputDims)),
      value_info: [],
    },
  });
}

function toNode({ type, input, output, attributes = [] }: Layer): OnnxNode {
  return { op_type: type, input, output: [output].flat(), attribute: attributes };
}

function toValue(name: string, dims: readonly (number | string)[] | undefined): OnnxValue {
  const dim = dims?.map((size) =>
    typeof size === 'number' ? { dim_value: BigInt(size) } : { dim_param: size },
  );
  return { name, type: { tensor_type: { elem_type: 1, ...(dim && { shape: { dim } }) } } };
}

export function constant(...values: number[]): Constant {
  return { dims: values.length === 1 ? [] : [1, values.length, 1, 1], values };
}

/** Weights of a Conv from 3 channels to `outputs`, all different; `size` is the side of the kernel. */
export function kernel(outputs: number, size: number, inputs = 3): Constant {
  const values = Array.from({ length: outputs * inputs * size * size }, (_, i) => Math.sin(i * 1.7 + size));
  return { dims: [outputs, inputs, size, size], values };
}

export function convAttributes(options: {
  size: number;
  pad?: number;
  group?: number;
  stride?: number;
}): OnnxAttribute[] {
  const { size, pad = 0, group = 1, stride = 1 } = options;
  return [
    intsAttribute('kernel_shape', [size, size]),
    intsAttribute('pads', [pad, pad, pad, pad]),
    intsAttribute('strides', [stride, stride]),
    intAttribute('group', group),
  ];
}

/** The layers of hard-swish from `x` to `y`, as exporters write them. */
export function hardSwishLayers(x: string, y: string): Layer[] {
  return [
    { type: 'Add', input: [x, 'three'], output: `${y}.sum` },
    { type: 'Clip', input: [`${y}.sum`, 'zero', 'six'], output: `${y}.clip` },
    { type: 'Mul', input: [x, `${y}.clip`], output: `${y}.product` },
    { type: 'Div', input: [`${y}.product`, 'six'], output: y },
  ];
}

export const hardSwishConstants = { zero: constant(0), three: constant(3), six: constant(6) };

export const oldClip = [floatAttribute('min', 0), floatAttribute('max', 6)];

/** A picture of numbers from −4 to 4 for x: [1, 3, side, side]. */
export function picture(side: number): { data: Float32Array; dims: number[] } {
  const data = Float32Array.from(
    { length: 3 * side * side },
    (_, i) => 4 * Math.sin(i * 12.9898 + i * i * 0.1),
  );
  return { data, dims: [1, 3, side, side] };
}

/** Runs a model with one float32 input `x` on the CPU and gives the named outputs. */
export async function runModel(
  model: Uint8Array,
  { data, dims }: { data: Float32Array; dims: number[] },
  outputs: readonly string[] = ['y'],
): Promise<{ data: Float32Array; dims: readonly number[] }[]> {
  const folder = await mkdtemp(join(tmpdir(), 'glyphmill-graph-'));
  try {
    const modelPath = join(folder, 'model.onnx');
    await writeFile(modelPath, model);
    const { session } = await openSession(openMessage(modelPath), config('y'));
    const found = [];
    for (const name of outputs) found.push(await infer(session, config(name), data, dims));
    await session.release();
    return found;
  } finally {
    await rm(folder, { recursive: true });
  }
}

export function openMessage(modelPath: string) {
  return {
    type: 'open',
    configText: '',
    configPath: 'config.pbtxt',
    modelPath,
    sha256: '',
    provider: 'cpu',
    gpu: 0,
    intraThreads: 1,
    interThreads: 1,
  } as const;
}

function config(output: string): ModelConfig {
  const text = `name: "small" max_batch_size: 1
    input { name: "x" data_type: TYPE_FP32 dims: [3, -1, -1] }
    output { name: "${output}" data_type: TYPE_FP32 dims: [-1] }
    parameters { key: "role" value { string_value: "detect" } }`;
  return parseModelConfig(text, 'config.pbtxt');
}

/** The largest difference between two lists of numbers, in parts of the largest number (of 1, where all are less). */
export function difference(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  let scale = 1;
  for (const [i, value] of one.entries()) {
    const distance = Math.abs(value - (other[i] ?? Number.NaN));
    most = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(most, distance);
    scale = Math.max(scale, Math.abs(value));
  }
  return most / scale;
}
