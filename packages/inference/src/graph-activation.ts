import type { GraphEditor, GraphRule } from './graph-editor.ts';
import type { OnnxNode } from './onnx-model.ts';
import { attributeOf, floatAttribute, newNode } from './onnx-tensor.ts';

/**
 * Hard-swish written out, x × clip(x + 3, 0, 6) ÷ 6 (Howard et al., 2019), → x × HardSigmoid(x): two passes for four.
 * The ÷ 6 may stand at the end or at the clip, and be a × 1/6; factors and terms may stand in either order.
 */
export const hardSwish: GraphRule = {
  name: 'hard-swish',
  apply(editor, node) {
    const chain = divisionAtEnd(editor, node) ?? divisionAtClip(editor, node);
    if (!chain?.inner.every(([maker, reader]) => editor.isReadOnlyBy(maker, reader))) return false;
    const gate = editor.freshName();
    // x + 3 clipped to 0..6 and divided by 6 is x ÷ 6 + 1 ÷ 2 clipped to 0..1, which is what HardSigmoid is.
    const attributes = [floatAttribute('alpha', 1 / 6), floatAttribute('beta', 0.5)];
    const [output = ''] = node.output;
    for (const [maker] of chain.inner) editor.replace(maker);
    editor.replace(
      node,
      newNode({ type: 'HardSigmoid', input: [chain.x], output: gate, attributes }),
      newNode({ type: 'Mul', input: [chain.x, gate], output }),
    );
    return true;
  },
};

interface Chain {
  x: string;
  /** Nodes within the chain, each with the one that must be its only reader. */
  inner: [OnnxNode, OnnxNode][];
}

function divisionAtEnd(editor: GraphEditor, node: OnnxNode): Chain | undefined {
  const product = editor.maker(divided(editor, node), 'Mul');
  if (!product) return undefined;
  for (const [x = '', gate] of bothOrders(product)) {
    const inner = clipOfSum(editor, { x, clip: gate, reader: product });
    if (inner) return { x, inner: [[product, node], ...inner] };
  }
  return undefined;
}

function divisionAtClip(editor: GraphEditor, node: OnnxNode): Chain | undefined {
  if (editor.maker(node.output[0], 'Mul') === undefined) return undefined;
  for (const [x = '', gate] of bothOrders(node)) {
    const division = editor.maker(gate, 'Div', 'Mul');
    const inner = division && clipOfSum(editor, { x, clip: divided(editor, division), reader: division });
    if (division && inner) return { x, inner: [[division, node], ...inner] };
  }
  return undefined;
}

/** What a node divides by 6, or multiplies by a sixth. */
function divided(editor: GraphEditor, node: OnnxNode): string | undefined {
  if (editor.maker(node.output[0], 'Div'))
    return isClose(editor.scalar(node.input[1], 0), 6) ? node.input[0] : undefined;
  if (!editor.maker(node.output[0], 'Mul')) return undefined;
  return bothOrders(node).find(([, factor]) => isClose(editor.scalar(factor, 0), 1 / 6))?.[0];
}

function clipOfSum(
  editor: GraphEditor,
  { x, clip: name, reader }: { x: string; clip: string | undefined; reader: OnnxNode },
): Chain['inner'] | undefined {
  const clip = editor.maker(name, 'Clip');
  const sum = editor.maker(clip?.input[0], 'Add');
  if (!clip || !sum || !clipsTo6(editor, clip)) return undefined;
  const isSum = bothOrders(sum).some(([term, three]) => term === x && editor.scalar(three, 0) === 3);
  return isSum
    ? [
        [clip, reader],
        [sum, clip],
      ]
    : undefined;
}

/** The limits are attributes up to opset 10 and inputs from 11 on. */
function clipsTo6(editor: GraphEditor, clip: OnnxNode): boolean {
  const min = attributeOf(clip, 'min')?.f ?? editor.scalar(clip.input[1], 0);
  const max = attributeOf(clip, 'max')?.f ?? editor.scalar(clip.input[2], 0);
  return min === 0 && max === 6;
}

function bothOrders(node: OnnxNode): [string | undefined, string | undefined][] {
  const [left, right] = node.input;
  return [
    [left, right],
    [right, left],
  ];
}

/** Within the rounding of float32. */
function isClose(value: number | undefined, wanted: number): boolean {
  return value !== undefined && Math.abs(value - wanted) <= wanted * 1e-6;
}
