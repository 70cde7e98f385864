import { decodeModel, type OnnxValue, opsetOf } from './onnx-model.ts';

export interface OnnxValueInfo {
  name: string;
  /** As ONNX Runtime calls it, such as `float32`; `unknown` where the model does not say. */
  type: string;
  /** The name of an open dim, or `?`. */
  dims: (number | string)[];
}

/** What a model file says of itself. */
export interface OnnxModelInfo {
  irVersion: number;
  /** Of ONNX's own operators. */
  opset: number;
  inputs: OnnxValueInfo[];
  outputs: OnnxValueInfo[];
  /** How often each operator occurs, the most frequent first; of another domain than ONNX's: `domain.Operator`. */
  operators: { type: string; count: number }[];
  sizeBytes: number;
}

/** TensorProto.DataType of the ONNX IR, by its numbers. */
const typeNames = [
  'unknown',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
];

/** Inputs, outputs, opset and operators of a model file. Throws an `Error` for bytes that are no ONNX model. */
export function inspectModel(bytes: Uint8Array): OnnxModelInfo {
  const model = decodeModel(bytes);
  const { graph } = model;
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const counts = new Map<string, number>();
  for (const { op_type, domain } of graph.node) {
    const type = domain ? `${domain}.${op_type}` : op_type;
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return {
    irVersion: Number(model.ir_version),
    opset: opsetOf(model),
    // Before IR 4 constants were listed as inputs too.
    inputs: graph.input.filter(({ name }) => !constants.has(name)).map(toInfo),
    outputs: graph.output.map(toInfo),
    operators: [...counts]
      .map(([type, count]) => ({ type, count }))
      .sort((a, b) => b.count - a.count || (a.type < b.type ? -1 : 1)),
    sizeBytes: bytes.length,
  };
}

function toInfo({ name, type }: OnnxValue): OnnxValueInfo {
  const dims = type?.tensor_type?.shape?.dim ?? [];
  return {
    name,
    type: typeNames[type?.tensor_type?.elem_type ?? 0] ?? 'unknown',
    dims: dims.map(({ dim_value, dim_param }) =>
      dim_value === undefined ? dim_param || '?' : Number(dim_value),
    ),
  };
}
