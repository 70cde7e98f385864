import { passedOn } from './graph-cleanup.ts';
import { GraphEditor } from './graph-editor.ts';
import {
  decodeModel,
  encodeModel,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
  opsetOf,
} from './onnx-model.ts';
import { attributeOf, elementType, intAttribute, intsAttribute, newNode } from './onnx-tensor.ts';

/** What `foldArgmax` calls its outputs. */
export const argmaxOutputs = { indices: 'indices', scores: 'scores' } as const;

/** Axes are an input of ReduceMax, not an attribute, from this opset on. */
const axesAsInputOpset = 18;
/** Softmax takes one axis, by default the last, from this opset on; before it, all from `axis` (by default 1) on. */
const oneAxisOpset = 13;

/**
 * A recogniser whose `output` is softmax [n, steps, classes] → one with the outputs `indices` [n, steps] int32 and
 * `scores` [n, steps] float32 instead: the first best class of each step and its probability. Some hundred numbers
 * leave the graph where it was some hundred thousand. Throws an `Error` where `output` is no such softmax.
 */
export function foldArgmax(
  bytes: Uint8Array,
  { output }: { output: string },
): { model: Uint8Array; classes: number } {
  const model = decodeModel(bytes);
  const { graph } = model;
  const value = graph.output.find(({ name }) => name === output);
  const { source, maker } = behindIdentities(model, output);
  const [batch, steps, classes, ...others] = value?.type?.tensor_type?.shape?.dim ?? [];
  const size = Number(classes?.dim_value ?? 0n);
  if (!value || !batch || !steps || size < 1 || others.length > 0 || !maker || !isOverClasses(maker, model))
    throw new Error(
      `expected output "${output}" to be a Softmax over the last of [n, steps, classes], found ${maker?.op_type ?? 'none'}`,
    );
  const taken = new Set(graph.node.flatMap((node) => [...node.input, ...node.output]));
  const clash = Object.values(argmaxOutputs).find((name) => taken.has(name));
  if (clash) throw new Error(`expected no value "${clash}" in the model: it is the name of a new output`);
  const shape = { dim: [batch, steps] };
  graph.node.push(...argmaxNodes(model, source));
  graph.output = graph.output.flatMap((found) =>
    found === value
      ? [
          newValue(argmaxOutputs.indices, elementType.int32, shape),
          newValue(argmaxOutputs.scores, elementType.float, shape),
        ]
      : [found],
  );
  return { model: encodeModel(model), classes: size };
}

/** Exporters end a model with steps that change nothing, to name its output: what they are given is read. */
function behindIdentities(model: OnnxModel, output: string): { source: string; maker?: OnnxNode } {
  const editor = new GraphEditor(model, opsetOf(model));
  let source = output;
  for (;;) {
    const maker = editor.nodes.find((node) => node.output.includes(source));
    // The output has three dims, so that a constant of one keeps its shape.
    const input = maker && passedOn(editor, maker, 1);
    if (input === undefined || editor.readers(source).length > 0) {
      editor.finish();
      return { source, ...(maker && { maker }) };
    }
    if (maker) editor.replace(maker);
    source = input;
  }
}

function argmaxNodes(model: OnnxModel, output: string): OnnxNode[] {
  const { indices, scores } = argmaxOutputs;
  const wide = `${indices}.int64`;
  const flat = intAttribute('keepdims', 0);
  const cast = newNode({
    type: 'Cast',
    input: [wide],
    output: indices,
    attributes: [intAttribute('to', elementType.int32)],
  });
  const argmax = newNode({
    type: 'ArgMax',
    input: [output],
    output: wide,
    attributes: [intAttribute('axis', 2), flat],
  });
  if (opsetOf(model) < axesAsInputOpset) {
    const attributes = [intsAttribute('axes', [2]), flat];
    return [argmax, cast, newNode({ type: 'ReduceMax', input: [output], output: scores, attributes })];
  }
  const axes = `${scores}.axes`;
  model.graph.initializer.push({
    dims: [1n],
    data_type: elementType.int64,
    float_data: [],
    int64_data: [2n],
    name: axes,
  });
  return [
    argmax,
    cast,
    newNode({ type: 'ReduceMax', input: [output, axes], output: scores, attributes: [flat] }),
  ];
}

function isOverClasses(node: OnnxNode, model: OnnxModel): boolean {
  const axis = Number(attributeOf(node, 'axis')?.i ?? (opsetOf(model) < oneAxisOpset ? 1n : -1n));
  return node.op_type === 'Softmax' && (axis === 2 || axis === -1);
}

function newValue(
  name: string,
  type: number,
  shape: NonNullable<NonNullable<NonNullable<OnnxValue['type']>['tensor_type']>['shape']>,
): OnnxValue {
  return { name, type: { tensor_type: { elem_type: type, shape } } };
}
