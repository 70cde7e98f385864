import type { GraphEditor } from './graph-editor.ts';
import { isOnnxDomain, type OnnxNode } from './onnx-model.ts';
import { attributeOf } from './onnx-tensor.ts';

/** y = scale × x + shift, one number each or one per channel. */
export interface Affine {
  /** The name of x. */
  input: string;
  scale: Float64Array;
  shift: Float64Array;
}

/** What constants an operand may be made of. */
export interface AffineLimits {
  /** Of the constant; a constant of more dims than x would give its result more dims too. */
  maxRank: number;
  /** Of x, in its second dim; 1: only single numbers will do. */
  channels: number;
}

/** A Mul, Add, Sub, Div or BatchNormalization with constants, as one affine map; undefined where it is not one. */
export function affineOf(editor: GraphEditor, node: OnnxNode, limits: AffineLimits): Affine | undefined {
  if (!isOnnxDomain(node.domain)) return undefined;
  if (node.op_type === 'BatchNormalization') return batchNormalization(editor, node, limits.channels);
  const [left = '', right = ''] = node.input;
  const onRight = channelValues(editor, right, limits);
  const onLeft = channelValues(editor, left, limits);
  const values = onRight ?? onLeft;
  const input = onRight ? left : right;
  if (!values || (onLeft && onRight)) return undefined;
  switch (node.op_type) {
    case 'Mul':
      return { input, scale: values, shift: Float64Array.of(0) };
    case 'Add':
      return { input, scale: Float64Array.of(1), shift: values };
    case 'Sub':
      return onRight && { input, scale: Float64Array.of(1), shift: values.map((value) => -value) };
    case 'Div':
      return onRight && { input, scale: values.map((value) => 1 / value), shift: Float64Array.of(0) };
    default:
      return undefined;
  }
}

/** A value per channel, or a single one: dims [c, 1, 1, …] or [1, c, 1, 1, …] with every other dim 1. */
function channelValues(
  editor: GraphEditor,
  name: string,
  { maxRank, channels }: AffineLimits,
): Float64Array | undefined {
  const constant = editor.floats(name, channels);
  if (!constant || constant.dims.length > maxRank) return undefined;
  const { dims, values } = constant;
  if (values.length === 1) return Float64Array.from(values);
  // Broadcasting aligns dims at their ends.
  const aligned = [...Array.from({ length: maxRank - dims.length }, () => 1), ...dims];
  const isPerChannel =
    values.length === channels && aligned.every((dim, i) => dim === (i === 1 ? channels : 1));
  return isPerChannel ? Float64Array.from(values) : undefined;
}

function batchNormalization(editor: GraphEditor, node: OnnxNode, channels: number): Affine | undefined {
  const [input = '', ...names] = node.input;
  const [scale, bias, mean, variance] = names.map((name) => editor.floats(name)?.values);
  // More outputs, or these attributes: it is training, or (before opset 9) normalises per place too.
  const isPlain =
    node.output.slice(1).every((name) => name === '') &&
    (attributeOf(node, 'training_mode')?.i ?? 0n) === 0n &&
    (attributeOf(node, 'spatial')?.i ?? 1n) === 1n &&
    editor.opset >= 7;
  if (!isPlain || !scale || !bias || !mean || !variance) return undefined;
  if ([scale, bias, mean, variance].some(({ length }) => length !== channels)) return undefined;
  const epsilon = attributeOf(node, 'epsilon')?.f ?? 1e-5;
  const scales = Float64Array.from(scale, (value, i) => value / Math.sqrt((variance[i] ?? 0) + epsilon));
  const shift = Float64Array.from(bias, (value, i) => value - (mean[i] ?? 0) * (scales[i] ?? 0));
  return { input, scale: scales, shift };
}
