/**
 * Tiny recognisers, written as ONNX by hand (field numbers: onnx.proto), for what real weights never do: turn a
 * line into NaN, hang on one, or have a fixed batch size. Input x [N, 3, 8, W] → y [N, W, 4]; every step reads "a".
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface TinyModel {
  name: string;
  /**
   * `nan`: black lines give NaN. `hang`: a white pixel makes the run last for ever. `refuse`: black lines give NaN, and
   * one that is white all over makes the run fail.
   */
  kind: 'plain' | 'nan' | 'hang' | 'refuse';
  /** undefined: open. */
  batch?: number;
  /** Pixels of a line; default 8. */
  height?: number;
  /** Default: 32,64. */
  widthLadder?: string;
  maxBatchSize?: number;
  labels?: string;
  /** The end of config.pbtxt; default: a queue delay of 20 ms. */
  extra?: string;
}

const tinyHeight = 8;

/** A line of one grey, `width` × 8 pixels. */
export function greyLine(grey: number, width = 32) {
  return { width, height: tinyHeight, data: new Uint8Array(width * tinyHeight * 3).fill(grey) };
}

/** Writes `<repository>/<name>` with config, labels and version 1. */
export async function writeTinyModel(repository: string, model: TinyModel): Promise<void> {
  const directory = join(repository, model.name);
  await mkdir(join(directory, '1'), { recursive: true });
  await writeFile(join(directory, '1/model.onnx'), tinyOnnx(model));
  await writeFile(join(directory, 'labels.txt'), model.labels ?? 'a\nb\n');
  await writeFile(
    join(directory, 'config.pbtxt'),
    `name: "${model.name}"
max_batch_size: ${model.maxBatchSize ?? 4}
input { name: "x" data_type: TYPE_FP32 dims: [3, ${model.height ?? tinyHeight}, -1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1, 4] label_filename: "labels.txt" }
parameters { key: "role" value { string_value: "recognize" } }
parameters { key: "width_ladder" value { string_value: "${model.widthLadder ?? '32,64'}" } }
${model.extra ?? 'dynamic_batching { max_queue_delay_microseconds: 20000 }'}
`,
  );
}

/** Adds a version as a careful copy does: beside, then renamed. */
export async function addVersion(directory: string, version: number, bytes: Uint8Array): Promise<void> {
  const hidden = join(directory, `.${version}`);
  await mkdir(hidden);
  await writeFile(join(hidden, 'model.onnx'), bytes);
  await rename(hidden, join(directory, String(version)));
}

/** A tiny model with the weights of its classes a and b swapped, so that every step reads "b". */
export function readsB(onnx: Buffer): Buffer {
  const weights = (values: number[]) => Buffer.from(Float32Array.from(values).buffer);
  const at = onnx.indexOf(weights([0.1, 0.5, 0.2, 0.3]));
  if (at < 0) throw new Error('expected the weights of a tiny model in the file');
  const swapped = Buffer.from(onnx);
  weights([0.1, 0.2, 0.5, 0.3]).copy(swapped, at);
  return swapped;
}

function tinyOnnx({ kind, batch, height = tinyHeight }: TinyModel): Uint8Array {
  const lift = kind === 'nan' || kind === 'refuse' ? 0.5 : 1.5;
  const nodes = [
    node('ReduceMean', ['x'], ['mean'], [intsAttribute('axes', [1, 2]), intAttribute('keepdims', 0)]),
    node('Add', ['mean', 'lift'], ['lifted']),
    // Of a negative number: NaN.
    node('Sqrt', ['lifted'], ['root']),
    node('Unsqueeze', ['root', 'last'], ['column']),
    node('Mul', ['column', 'classes'], ['scores']),
    ...endNodes(kind),
  ];
  const tensors = [
    floats('lift', [], [lift]),
    integers('last', [1], [2]),
    floats('classes', [1, 1, 4], [0.1, 0.5, 0.2, 0.3]),
    floats('nearWhite', [], [0.9]),
    floats('trips', [], [kind === 'hang' ? 1e13 : 100]),
    floats('zero', [], [0]),
    floats('table', [1], [0]),
  ];
  const graph = message([
    ...nodes.map((bytes) => field(1, bytes)),
    field(2, text('tiny')),
    ...tensors.map((bytes) => field(5, bytes)),
    field(11, valueInfo('x', 1, [batch ?? 'n', 3, height, 'w'])),
    field(12, valueInfo('y', 1, [batch ?? 'n', 'w', 4])),
  ]);
  return message([number(1, 8), field(7, graph), field(8, message([field(1, text('')), number(2, 13)]))]);
}

/** From scores to y. */
function endNodes(kind: TinyModel['kind']): Uint8Array[] {
  switch (kind) {
    case 'hang':
      return [
        node('ReduceMax', ['x'], ['brightest'], [intAttribute('keepdims', 0)]),
        ...countNodes(),
        ...hangNodes(),
      ];
    case 'refuse':
      return [
        // Of each line its darkest column, and of these the brightest.
        node('ReduceMin', ['mean'], ['darkest'], [intsAttribute('axes', [1]), intAttribute('keepdims', 0)]),
        node('ReduceMax', ['darkest'], ['brightest'], [intAttribute('keepdims', 0)]),
        ...countNodes(),
        // An index behind the table's end is refused at run time.
        node('Gather', ['table', 'loops'], ['nothing']),
        node('Add', ['scores', 'nothing'], ['y']),
      ];
    default:
      return [node('Identity', ['scores'], ['y'])];
  }
}

/** loops = max(0, brightest − 0.9) × trips. */
function countNodes(): Uint8Array[] {
  return [
    node('Sub', ['brightest', 'nearWhite'], ['excess']),
    node('Max', ['excess', 'zero'], ['some']),
    node('Mul', ['some', 'trips'], ['count']),
    node('Cast', ['count'], ['loops'], [intAttribute('to', 7)]),
  ];
}

/** y = scores + the sum of so many loops. */
function hangNodes(): Uint8Array[] {
  const body = message([
    field(1, node('Identity', ['go'], ['goOn'])),
    field(1, node('Identity', ['sum'], ['nextSum'])),
    field(2, text('body')),
    field(11, valueInfo('i', 7, [])),
    field(11, valueInfo('go', 9, [])),
    field(11, valueInfo('sum', 1, [])),
    field(12, valueInfo('goOn', 9, [])),
    field(12, valueInfo('nextSum', 1, [])),
  ]);
  return [
    node(
      'Loop',
      ['loops', '', 'zero'],
      ['sumOut'],
      [message([field(1, text('body')), field(6, body), number(20, 5)])],
    ),
    node('Add', ['scores', 'sumOut'], ['y']),
  ];
}

function node(type: string, inputs: string[], outputs: string[], attributes: Uint8Array[] = []): Uint8Array {
  return message([
    ...inputs.map((name) => field(1, text(name))),
    ...outputs.map((name) => field(2, text(name))),
    field(4, text(type)),
    ...attributes.map((bytes) => field(5, bytes)),
  ]);
}

function intAttribute(name: string, value: number): Uint8Array {
  return message([field(1, text(name)), number(3, value), number(20, 2)]);
}

function intsAttribute(name: string, values: number[]): Uint8Array {
  return message([field(1, text(name)), ...values.map((value) => number(8, value)), number(20, 7)]);
}

function floats(name: string, dims: number[], values: number[]): Uint8Array {
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return message([...dims.map((dim) => number(1, dim)), number(2, 1), field(8, text(name)), field(9, raw)]);
}

function integers(name: string, dims: number[], values: number[]): Uint8Array {
  const raw = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
  return message([...dims.map((dim) => number(1, dim)), number(2, 7), field(8, text(name)), field(9, raw)]);
}

function valueInfo(name: string, type: number, dims: (number | string)[]): Uint8Array {
  const shape = message(
    dims.map((dim) => field(1, message([typeof dim === 'number' ? number(1, dim) : field(2, text(dim))]))),
  );
  return message([
    field(1, text(name)),
    field(2, message([field(1, message([number(1, type), field(2, shape)]))])),
  ]);
}

function field(id: number, bytes: Uint8Array): Uint8Array {
  return message([varint(id * 8 + 2), varint(bytes.length), bytes]);
}

function number(id: number, value: number): Uint8Array {
  return message([varint(id * 8), varint(value)]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function message(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
