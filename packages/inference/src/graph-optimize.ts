import { hardSwish } from './graph-activation.ts';
import { dropDead, dropIdentity } from './graph-cleanup.ts';
import { foldAfterConvolution, foldBeforeConvolution, poolBeforePointwise } from './graph-convolution.ts';
import { GraphEditor, type GraphRule } from './graph-editor.ts';
import { gatedSum, normalizeAffine } from './graph-elementwise.ts';
import { decodeModel, encodeModel, opsetOf } from './onnx-model.ts';

/** How often a rule changed a graph. */
export interface GraphChange {
  rule: string;
  count: number;
}

const rules: readonly GraphRule[] = [
  dropIdentity,
  hardSwish,
  foldAfterConvolution,
  foldBeforeConvolution,
  gatedSum,
  poolBeforePointwise,
  normalizeAffine,
  dropDead,
];

/** Constants stand apart from inputs from this version of the IR on. */
const minIrVersion = 4n;

/**
 * The same model in fewer operations: outputs differ by the rounding of float32 alone. The same bytes give the same
 * bytes. A model older than ONNX IR 4 is left as it is. Throws an `Error` for bytes that are no ONNX model.
 */
export function optimizeGraph(bytes: Uint8Array): { model: Uint8Array; changes: GraphChange[] } {
  const model = decodeModel(bytes);
  if (model.ir_version < minIrVersion) return { model: bytes, changes: [] };
  const editor = new GraphEditor(model, opsetOf(model));
  const counts = new Map<string, number>();
  for (const rule of rules) {
    const count = applyEverywhere(editor, rule);
    if (count > 0) counts.set(rule.name, (counts.get(rule.name) ?? 0) + count);
  }
  if (counts.size === 0) return { model: bytes, changes: [] };
  editor.finish();
  return { model: encodeModel(model), changes: [...counts].map(([rule, count]) => ({ rule, count })) };
}

/** Every change leaves a node less, or one that no rule takes up again, so that this ends. */
function applyEverywhere(editor: GraphEditor, rule: GraphRule): number {
  let count = 0;
  for (let changed = true; changed; ) {
    const before = count;
    const nodes = new Set(editor.nodes);
    for (const node of nodes) {
      if (!editor.has(node)) continue;
      if (rule.apply(editor, node)) count++;
    }
    changed = count > before;
  }
  return count;
}
