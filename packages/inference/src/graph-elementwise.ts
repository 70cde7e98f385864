import { affineOf } from './graph-affine.ts';
import type { GraphEditor, GraphRule } from './graph-editor.ts';
import type { OnnxNode } from './onnx-model.ts';
import { floatAttribute, newNode } from './onnx-tensor.ts';

/** BatchNormalization takes these inputs, and is never in training, from this opset on. */
const normalizationOpset = 9;
/** Nodes between a convolution and the affine map behind it; a longer way is not looked at. */
const maxDepth = 8;

/**
 * s × x + b on the way from one convolution to the next → BatchNormalization, where it could not be folded (the next
 * one pads, or there are more). ONNX Runtime keeps its blocked image layout from convolution to convolution through
 * a normalisation, but puts the whole image in order and back for a plain Mul or Add.
 */
export const normalizeAffine: GraphRule = {
  name: 'affine-to-normalization',
  apply(editor, node) {
    const [output = ''] = node.output;
    const isForImages = editor
      .readers(output)
      .some((reader) => ['Conv', 'GlobalAveragePool', 'AveragePool'].includes(reader.op_type));
    if (!isForImages || node.op_type === 'BatchNormalization' || editor.opset < normalizationOpset)
      return false;
    const outer = numberAffine(editor, node);
    if (!outer) return false;
    const before = editor.maker(outer.input, 'Mul', 'Add', 'Sub', 'Div');
    const inner = before && editor.isReadOnlyBy(before, node) ? numberAffine(editor, before) : undefined;
    const input = inner?.input ?? outer.input;
    const image = imageOf(editor, input, maxDepth);
    if (!image) return false;
    const scale = outer.scale * (inner?.scale ?? 1);
    const shift = outer.shift + outer.scale * (inner?.shift ?? 0);
    const constants = [scale, shift, 0, 1].map((value) =>
      editor.addFloats([image.channels], new Float32Array(image.channels).fill(value)),
    );
    if (before && inner) editor.replace(before);
    const attributes = [floatAttribute('epsilon', 0)];
    editor.replace(
      node,
      newNode({ type: 'BatchNormalization', input: [input, ...constants], output, attributes }),
    );
    return true;
  },
};

/** x + x × g → x × (1 + g) where the gate g is a HardSigmoid or Sigmoid, by habit one number per channel. */
export const gatedSum: GraphRule = {
  name: 'gated-sum',
  apply(editor, node) {
    if (!editor.maker(node.output[0], 'Add')) return false;
    const [left = '', right = ''] = node.input;
    for (const [x, product] of [
      [left, editor.maker(right, 'Mul')],
      [right, editor.maker(left, 'Mul')],
    ] as const) {
      if (!product?.input.includes(x) || !editor.isReadOnlyBy(product, node)) continue;
      const gate = product.input.find((name) => name !== x) ?? x;
      if (!editor.maker(gate, 'HardSigmoid', 'Sigmoid')) continue;
      const more = editor.freshName();
      const one = editor.addFloats([], Float32Array.of(1));
      editor.replace(product);
      editor.replace(
        node,
        newNode({ type: 'Add', input: [gate, one], output: more }),
        newNode({ type: 'Mul', input: [x, more], output: node.output[0] ?? '' }),
      );
      return true;
    }
    return false;
  },
};

/** The map by one scale and one shift; of rank 1 at most, so that an image stays of its own rank. */
function numberAffine(editor: GraphEditor, node: OnnxNode) {
  const affine = affineOf(editor, node, { maxRank: 1, channels: 1 });
  const [scale, shift] = [affine?.scale[0] ?? Number.NaN, affine?.shift[0] ?? Number.NaN];
  return affine && Number.isFinite(scale) && Number.isFinite(shift)
    ? { input: affine.input, scale, shift }
    : undefined;
}

/** Rank and channels of what a convolution made, also behind element by element operations. */
function imageOf(editor: GraphEditor, name: string, depth: number): Image | undefined {
  const convolution = editor.maker(name, 'Conv');
  const dims = editor.floats(convolution?.input[1])?.dims;
  if (dims) return { rank: dims.length, channels: dims[0] ?? 0 };
  const normalization = editor.maker(name, 'BatchNormalization');
  const node = normalization ?? editor.maker(name, 'Mul', 'HardSigmoid', 'Sigmoid', 'Relu', 'Clip');
  if (!node || depth === 0) return undefined;
  const operands = node.op_type === 'Mul' ? node.input : node.input.slice(0, 1);
  let image: Image | undefined;
  for (const operand of operands) {
    if (editor.scalar(operand, 1) !== undefined) continue;
    const found = imageOf(editor, operand, depth - 1);
    if (!found || (image && image.rank !== found.rank)) return undefined;
    // Broadcasting: of two different counts one is 1.
    image = { rank: found.rank, channels: Math.max(image?.channels ?? 1, found.channels) };
  }
  return image;
}

interface Image {
  rank: number;
  channels: number;
}
