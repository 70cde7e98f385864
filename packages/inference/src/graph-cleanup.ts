import type { GraphEditor, GraphRule } from './graph-editor.ts';
import { isOnnxDomain, type OnnxNode } from './onnx-model.ts';

/** Nodes that give back what they are given: Identity, × 1, ÷ 1, + 0, − 0. */
export const dropIdentity: GraphRule = {
  name: 'identity',
  apply(editor, node) {
    const [output = ''] = node.output;
    // Of no dims at all: a constant of shape [1] would turn a single number into a list of one.
    const input = passedOn(editor, node, 0);
    if (input === undefined || editor.isPinned(output)) return false;
    editor.rewire(output, input);
    editor.replace(node);
    return true;
  },
};

/** Nodes whose outputs nobody reads. */
export const dropDead: GraphRule = {
  name: 'dead-node',
  apply(editor, node) {
    if (node.output.some((name) => name !== '' && editor.hasReaders(name))) return false;
    editor.replace(node);
    return true;
  },
};

/** What a node gives back as it is, constants of it having at most `maxRank` dims. */
export function passedOn(editor: GraphEditor, node: OnnxNode, maxRank: number): string | undefined {
  if (!isOnnxDomain(node.domain)) return undefined;
  const [left, right] = node.input;
  const onLeft = editor.scalar(left, maxRank);
  const onRight = editor.scalar(right, maxRank);
  switch (node.op_type) {
    case 'Identity':
      return left;
    case 'Mul':
      return onRight === 1 ? left : onLeft === 1 ? right : undefined;
    case 'Div':
      return onRight === 1 ? left : undefined;
    case 'Add':
      return onRight === 0 ? left : onLeft === 0 ? right : undefined;
    case 'Sub':
      return onRight === 0 ? left : undefined;
    default:
      return undefined;
  }
}
