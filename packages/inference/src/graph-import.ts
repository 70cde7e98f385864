import { foldArgmax } from './graph-argmax.ts';
import { type GraphChange, optimizeGraph } from './graph-optimize.ts';

/** A model as it is put into a repository. */
export interface PreparedModel {
  model: Uint8Array;
  /** In the order in which they were made. */
  changes: GraphChange[];
  /** Of a recogniser whose outputs are now `argmaxOutputs`. */
  classes: number | undefined;
}

/**
 * All graph work at import: fewer operations, and for a recogniser the best class and score of each step in place of
 * `softmaxOutput`. Takes about a second for 10 MB, on the calling thread. Throws as `optimizeGraph` and `foldArgmax` do.
 */
export function prepareModel(
  bytes: Uint8Array,
  { softmaxOutput }: { softmaxOutput?: string } = {},
): PreparedModel {
  const { model, changes } = optimizeGraph(bytes);
  if (softmaxOutput === undefined) return { model, changes, classes: undefined };
  const folded = foldArgmax(model, { output: softmaxOutput });
  const change = { rule: 'argmax-in-graph', count: 1 };
  return { model: folded.model, changes: [...changes, change], classes: folded.classes };
}
