import { type Affine, affineOf } from './graph-affine.ts';
import type { GraphEditor, GraphRule } from './graph-editor.ts';
import type { OnnxNode } from './onnx-model.ts';
import { attributeOf, newNode } from './onnx-tensor.ts';

interface Weights {
  /** Conv: [out, in ÷ group, …]; ConvTranspose: [in, out ÷ group, …]. */
  dims: number[];
  values: Float32Array;
  bias: Float32Array;
  channels: number;
  /** Which output channel a weight works for. */
  channelOf(index: number): number;
}

/** Mul, Add, Sub, Div or BatchNormalization with constants behind a convolution → its weights and bias. */
export const foldAfterConvolution: GraphRule = {
  name: 'affine-after-convolution',
  apply(editor, node) {
    const convolution = node.input
      .map((name) => editor.maker(name, 'Conv', 'ConvTranspose'))
      .find((found) => found !== undefined);
    const weights = convolution && weightsOf(editor, convolution);
    if (!weights || !editor.isReadOnlyBy(convolution, node)) return false;
    const affine = affineOf(editor, node, { maxRank: weights.dims.length, channels: weights.channels });
    if (!affine || !hasOnlyFinite(affine) || affine.input !== convolution.output[0]) return false;
    const { values, bias, channelOf } = weights;
    const changed = withWeights(editor, convolution, {
      ...weights,
      values: values.map((value, i) => value * at(affine.scale, channelOf(i))),
      bias: bias.map((value, i) => value * at(affine.scale, i) + at(affine.shift, i)),
    });
    changed.output = [node.output[0] ?? ''];
    editor.replace(node);
    editor.replace(convolution, changed);
    return true;
  },
};

/**
 * Mul, Add, Sub or Div with a single constant in front of a Conv → its weights and bias. What the Conv pads with is 0
 * before and after a scale, but not after a shift: a shift goes in only where nothing is padded.
 */
export const foldBeforeConvolution: GraphRule = {
  name: 'affine-before-convolution',
  apply(editor, node) {
    const found = affineBefore(editor, node);
    if (!found) return false;
    const { weights, affine, affineNode } = found;
    const shift = at(affine.shift, 0);
    if (shift !== 0 && pads(node)) return false;
    const { values, bias, channelOf } = weights;
    const sums = new Float64Array(weights.channels);
    values.forEach((value, i) => {
      sums[channelOf(i)] = at(sums, channelOf(i)) + value;
    });
    const changed = withWeights(editor, node, {
      ...weights,
      values: values.map((value) => value * at(affine.scale, 0)),
      bias: bias.map((value, i) => value + shift * at(sums, i)),
    });
    changed.input[0] = affine.input;
    editor.replace(affineNode);
    editor.replace(node, changed);
    return true;
  },
};

/**
 * The mean over all places behind a 1×1 Conv that widens → the same Conv behind the mean: of less channels, and one
 * place. The Conv stays for those who read all its places.
 */
export const poolBeforePointwise: GraphRule = {
  name: 'pool-before-pointwise',
  apply(editor, node) {
    const convolution =
      editor.maker(node.output[0], 'GlobalAveragePool') && editor.maker(node.input[0], 'Conv');
    const weights = convolution && weightsOf(editor, convolution);
    if (!convolution || !weights || pads(convolution)) return false;
    const [outputs = 0, inputs = 0, ...kernel] = weights.dims;
    const strides = attributeOf(convolution, 'strides')?.ints ?? [];
    if (outputs <= inputs || [...kernel.map(BigInt), ...strides].some((size) => size !== 1n)) return false;
    if ((attributeOf(convolution, 'group')?.i ?? 1n) !== 1n) return false;
    const [input = '', ...constants] = convolution.input;
    const mean = editor.freshName();
    const [output = ''] = node.output;
    const attributes = convolution.attribute;
    editor.replace(
      node,
      newNode({ type: 'GlobalAveragePool', input: [input], output: mean }),
      newNode({ type: 'Conv', input: [mean, ...constants], output, attributes }),
    );
    return true;
  },
};

function affineBefore(editor: GraphEditor, node: OnnxNode) {
  const affineNode = editor.maker(node.input[0], 'Mul', 'Add', 'Sub', 'Div');
  const weights = node.op_type === 'Conv' ? weightsOf(editor, node) : undefined;
  if (!affineNode || !weights || !editor.isReadOnlyBy(affineNode, node)) return undefined;
  const affine = affineOf(editor, affineNode, { maxRank: weights.dims.length - 1, channels: 1 });
  return affine && hasOnlyFinite(affine) ? { affineNode, weights, affine } : undefined;
}

/** Undefined where the weights are not constants of float32, or it is no convolution. */
function weightsOf(editor: GraphEditor, node: OnnxNode): Weights | undefined {
  const [, weightName, biasName = ''] = node.input;
  const weights = editor.maker(node.output[0], 'Conv', 'ConvTranspose') && editor.floats(weightName);
  const [first, second] = weights?.dims ?? [];
  if (!weights || first === undefined || second === undefined || weights.values.length === 0)
    return undefined;
  const { dims, values } = weights;
  const size = values.length / first / second;
  const group = Number(attributeOf(node, 'group')?.i ?? 1n);
  const isTransposed = node.op_type === 'ConvTranspose';
  const channels = isTransposed ? second * group : first;
  const bias = biasName === '' ? new Float32Array(channels) : editor.floats(biasName)?.values;
  if (bias?.length !== channels || first % group !== 0) return undefined;
  const channelOf = (index: number) => {
    const row = Math.floor(index / (second * size));
    if (!isTransposed) return row;
    return Math.floor(row / (first / group)) * second + (Math.floor(index / size) % second);
  };
  return { dims, values, bias, channels, channelOf };
}

function withWeights(editor: GraphEditor, node: OnnxNode, { dims, values, bias }: Weights): OnnxNode {
  const [input = ''] = node.input;
  return {
    ...node,
    input: [input, editor.addFloats(dims, values), editor.addFloats([bias.length], bias)],
  };
}

function pads(node: OnnxNode): boolean {
  const automatic = new TextDecoder().decode(attributeOf(node, 'auto_pad')?.s ?? new Uint8Array());
  if (automatic.startsWith('SAME')) return true;
  return attributeOf(node, 'pads')?.ints.some((pad) => pad !== 0n) ?? false;
}

function hasOnlyFinite({ scale, shift }: Affine): boolean {
  return [...scale, ...shift].every(Number.isFinite);
}

/** One number stands for every channel. */
function at(values: Float64Array, channel: number): number {
  return values[values.length === 1 ? 0 : channel] ?? Number.NaN;
}
