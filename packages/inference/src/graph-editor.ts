import {
  isOnnxDomain,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  subgraphs,
} from './onnx-model.ts';
import { floatsOf, floatTensor, sizeOf } from './onnx-tensor.ts';

/** A change to a graph that leaves its outputs what they were, tried at each node; says whether it was made. */
export interface GraphRule {
  name: string;
  apply(editor: GraphEditor, node: OnnxNode): boolean;
}

/**
 * A graph that rules change in place: who makes a value, who reads it, which are constants.
 * `finish` drops what nobody reads any more and gives the nodes back to the model.
 */
export class GraphEditor {
  readonly opset: number;
  readonly #graph: OnnxGraph;
  readonly #nodes: OnnxNode[];
  readonly #constants = new Map<string, OnnxTensor>();
  readonly #makers = new Map<string, OnnxNode>();
  readonly #readers = new Map<string, OnnxNode[]>();
  /** Read from outside the graph's own nodes: its outputs, and what the graphs inside its nodes refer to. */
  readonly #pinned: Set<string>;
  readonly #names: Set<string>;
  #freshNames = 0;

  constructor(model: OnnxModel, opset: number) {
    const { graph } = model;
    this.opset = opset;
    this.#graph = graph;
    this.#nodes = [...graph.node];
    this.#pinned = new Set(graph.output.map(({ name }) => name));
    for (const node of graph.node)
      for (const name of subgraphs(node).flatMap(namesIn)) this.#pinned.add(name);
    const inputs = new Set(graph.input.map(({ name }) => name));
    // An initializer that is an input too is but its default.
    for (const tensor of graph.initializer)
      if (tensor.name !== undefined && !inputs.has(tensor.name)) this.#constants.set(tensor.name, tensor);
    for (const node of graph.node) this.#link(node);
    this.#names = new Set([...inputs, ...this.#pinned, ...namesIn(graph)]);
  }

  get nodes(): readonly OnnxNode[] {
    return this.#nodes;
  }

  has(node: OnnxNode): boolean {
    return this.#nodes.includes(node);
  }

  /** The float32 values and dims of a constant, of at most `maxSize` elements. */
  floats(
    name: string | undefined,
    maxSize = Number.MAX_SAFE_INTEGER,
  ): { dims: number[]; values: Float32Array } | undefined {
    const tensor = name === undefined ? undefined : this.#constants.get(name);
    const values = tensor && sizeOf(tensor) <= maxSize ? floatsOf(tensor) : undefined;
    return tensor && values && { dims: tensor.dims.map(Number), values };
  }

  /** The one float32 element of a constant with at most `maxRank` dims. */
  scalar(name: string | undefined, maxRank: number): number | undefined {
    const constant = this.floats(name, 1);
    return constant && constant.dims.length <= maxRank ? constant.values[0] : undefined;
  }

  /** The node that makes a value, where it is one of these of ONNX's own. */
  maker(name: string | undefined, ...types: string[]): OnnxNode | undefined {
    const node = name === undefined ? undefined : this.#makers.get(name);
    return node && isOnnxDomain(node.domain) && types.includes(node.op_type) ? node : undefined;
  }

  isPinned(name: string): boolean {
    return this.#pinned.has(name);
  }

  /** Whether nobody but `reader` reads the one output of `node`. */
  isReadOnlyBy(node: OnnxNode, reader: OnnxNode): boolean {
    const [output = '', ...others] = node.output;
    const readers = this.#readers.get(output) ?? [];
    return (
      others.every((name) => name === '') &&
      !this.#pinned.has(output) &&
      readers.length > 0 &&
      readers.every((found) => found === reader)
    );
  }

  /** The nodes that read a value, once for each time they do. */
  readers(name: string): readonly OnnxNode[] {
    return this.#readers.get(name) ?? [];
  }

  hasReaders(name: string): boolean {
    return this.#pinned.has(name) || this.readers(name).length > 0;
  }

  freshName(): string {
    for (;;) {
      const name = `glyphmill.${this.#freshNames++}`;
      if (!this.#names.has(name)) return name;
    }
  }

  addFloats(dims: readonly number[], values: Float32Array): string {
    const name = this.freshName();
    this.#constants.set(name, floatTensor(name, dims, values));
    return name;
  }

  /** Puts `nodes` where `node` stood; they make its outputs, or nobody reads those. */
  replace(node: OnnxNode, ...nodes: OnnxNode[]): void {
    this.#unlink(node);
    for (const added of nodes) this.#link(added);
    this.#nodes.splice(this.#nodes.indexOf(node), 1, ...nodes);
  }

  /** Lets all who read `from` read `to`. */
  rewire(from: string, to: string): void {
    for (const reader of new Set(this.#readers.get(from))) {
      this.#unlink(reader);
      reader.input = reader.input.map((name) => (name === from ? to : name));
      this.#link(reader);
    }
  }

  finish(): void {
    const inputs = new Set(this.#graph.input.map(({ name }) => name));
    const kept = this.#graph.initializer.filter(
      ({ name = '' }) => inputs.has(name) || this.#pinned.has(name) || this.hasReaders(name),
    );
    const known = new Set(kept.map(({ name }) => name));
    const made = new Set(this.#nodes.flatMap(({ output }) => output));
    const added = [...this.#constants.values()].filter(
      ({ name = '' }) => !known.has(name) && !made.has(name) && this.hasReaders(name),
    );
    this.#graph.node = this.#nodes;
    this.#graph.initializer = [...kept, ...added];
    this.#graph.value_info = this.#graph.value_info.filter(({ name }) => made.has(name));
  }

  #link(node: OnnxNode): void {
    for (const name of node.output) if (name !== '') this.#makers.set(name, node);
    for (const name of node.input) {
      const readers = this.#readers.get(name);
      if (readers) readers.push(node);
      else this.#readers.set(name, [node]);
    }
    const value = node.op_type === 'Constant' && isOnnxDomain(node.domain) ? node.attribute[0]?.t : undefined;
    if (value) this.#constants.set(node.output[0] ?? '', value);
  }

  #unlink(node: OnnxNode): void {
    for (const name of node.output) if (this.#makers.get(name) === node) this.#makers.delete(name);
    for (const name of node.input)
      this.#readers.set(
        name,
        (this.#readers.get(name) ?? []).filter((reader) => reader !== node),
      );
  }
}

function namesIn(graph: OnnxGraph): string[] {
  return [
    ...graph.initializer.flatMap(({ name }) => name ?? []),
    ...graph.output.map(({ name }) => name),
    ...graph.node.flatMap((node) => [...node.input, ...node.output, ...subgraphs(node).flatMap(namesIn)]),
  ];
}
