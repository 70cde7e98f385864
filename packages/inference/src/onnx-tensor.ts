import type { OnnxAttribute, OnnxNode, OnnxTensor } from './onnx-model.ts';

/** TensorProto.DataType of the ONNX IR. */
export const elementType = { float: 1, int32: 6, int64: 7 } as const;
/** AttributeProto.AttributeType of the ONNX IR. */
const attributeType = { float: 1, int: 2, ints: 7 } as const;

/** The values of a float32 tensor; undefined for any other, or where they lie in another file. */
export function floatsOf(tensor: OnnxTensor): Float32Array | undefined {
  if (tensor.data_type !== elementType.float || (tensor.data_location ?? 0) !== 0) return undefined;
  const size = sizeOf(tensor);
  const { raw_data: raw } = tensor;
  if (raw === undefined || raw.length === 0)
    return tensor.float_data.length === size ? Float32Array.from(tensor.float_data) : undefined;
  if (raw.length !== size * 4) return undefined;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = view.getFloat32(i * 4, true);
  return values;
}

/** How many elements a tensor has. */
export function sizeOf({ dims }: OnnxTensor): number {
  return dims.reduce((product, dim) => product * Number(dim), 1);
}

export function floatTensor(name: string, dims: readonly number[], values: Float32Array): OnnxTensor {
  const raw = new Uint8Array(values.length * 4);
  const view = new DataView(raw.buffer);
  values.forEach((value, i) => {
    view.setFloat32(i * 4, value, true);
  });
  return { dims: dims.map(BigInt), data_type: elementType.float, float_data: [], name, raw_data: raw };
}

export function attributeOf(node: OnnxNode, name: string): OnnxAttribute | undefined {
  return node.attribute.find((attribute) => attribute.name === name);
}

export function floatAttribute(name: string, f: number): OnnxAttribute {
  return { name, f, ints: [], graphs: [], type: attributeType.float };
}

export function intAttribute(name: string, i: number): OnnxAttribute {
  return { name, i: BigInt(i), ints: [], graphs: [], type: attributeType.int };
}

export function intsAttribute(name: string, ints: readonly number[]): OnnxAttribute {
  return { name, ints: ints.map(BigInt), graphs: [], type: attributeType.ints };
}

/** A node of ONNX's own operators with one output. */
export function newNode(options: {
  type: string;
  input: readonly string[];
  output: string;
  attributes?: readonly OnnxAttribute[];
}): OnnxNode {
  const { type, input, output, attributes = [] } = options;
  return { op_type: type, input: [...input], output: [output], attribute: [...attributes] };
}
