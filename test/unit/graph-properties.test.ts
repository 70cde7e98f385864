import assert from 'node:assert/strict';
import { it } from 'node:test';
import { optimizeGraph } from '@glyphmill/inference/graph-optimize';
import { floatAttribute, intAttribute, intsAttribute } from '@glyphmill/inference/onnx-tensor';
import fc from 'fast-check';
import {
  type Constant,
  constant,
  convAttributes,
  difference,
  type Graph,
  hardSwishConstants,
  hardSwishLayers,
  type Layer,
  modelOf,
  picture,
  runModel,
} from './graph-setup.ts';

/** One step of a random model; `seed` decides its weights and the order of its operands. */
const step = fc.record({
  kind: fc.constantFrom(
    'conv',
    'conv',
    'pointwise',
    'depthwise',
    'transposed',
    'scalar',
    'scalar',
    'perChannel',
    'normalization',
    'hardSwish',
    'relu',
    'gate',
    'identity',
  ),
  seed: fc.nat(1000),
  /** Another branch or the caller reads the value too. */
  tapped: fc.integer({ min: 0, max: 5 }).map((roll) => (roll > 1 ? 'no' : roll === 1 ? 'output' : 'branch')),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

it('random models of convolutions give the same outputs after the graph work', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 9 }), async (steps) => {
      const graph = build(steps);
      const original = modelOf(graph);
      const { model, changes } = optimizeGraph(original);
      for (const { rule } of changes) seen.add(rule);
      const before = await runModel(original, picture(11), graph.outputs);
      const after = await runModel(model, picture(11), graph.outputs);
      for (const [i, { data, dims }] of before.entries()) {
        assert.deepEqual(after[i]?.dims, dims);
        const found = difference(data, after[i]?.data ?? new Float32Array());
        assert.ok(found < 1e-5, `${graph.outputs?.[i]} differs by ${found}; ${JSON.stringify(changes)}`);
      }
    }),
    { numRuns: 120, seed: 7 },
  );
  assert.deepEqual([...seen].sort(), [
    'affine-after-convolution',
    'affine-before-convolution',
    'affine-to-normalization',
    'gated-sum',
    'hard-swish',
    'identity',
    'pool-before-pointwise',
  ]);
});

function build(steps: readonly Step[]): Graph {
  const layers: Layer[] = [];
  const constants: Record<string, Constant> = { ...hardSwishConstants, one: constant(1) };
  const outputs = ['y'];
  const taps: string[] = [];
  let value = 'x';
  let channels = 3;
  for (const [i, { kind, seed, tapped }] of steps.entries()) {
    const made = layersOf(kind, { input: value, output: `v${i}`, seed, channels });
    layers.push(...made.layers);
    Object.assign(constants, made.constants);
    value = `v${i}`;
    channels = made.channels;
    if (tapped === 'output') outputs.push(value);
    if (tapped === 'branch') taps.push(value);
  }
  for (const [i, tap] of taps.entries()) {
    layers.push({ type: 'GlobalAveragePool', input: [tap], output: `mean${i}` });
    outputs.push(`mean${i}`);
  }
  layers.push({ type: 'Neg', input: [value], output: 'y' });
  return { layers, constants, outputs };
}

interface Place {
  input: string;
  output: string;
  seed: number;
  channels: number;
}

function layersOf(
  kind: Step['kind'],
  { input, output, seed, channels }: Place,
): { layers: Layer[]; constants: Record<string, Constant>; channels: number } {
  const only = (layer: Layer, constants: Record<string, Constant> = {}, made = channels) => ({
    layers: [layer],
    constants,
    channels: made,
  });
  const numbers = (count: number, salt: number, size = 1.2) =>
    Array.from({ length: count }, (_, i) => size * Math.sin(seed + salt + i * 2.3) + 0.01);
  const name = (part: string) => `${output}.${part}`;
  const operands = (constantName: string) => (seed % 2 === 0 ? [input, constantName] : [constantName, input]);
  switch (kind) {
    case 'conv':
    case 'pointwise':
    case 'depthwise': {
      const size = kind === 'pointwise' ? 1 : 3;
      const group = kind === 'depthwise' ? channels : 1;
      const made = kind === 'depthwise' ? channels : 2 + (seed % 5);
      const inner = channels / group;
      const constants = {
        [name('w')]: {
          dims: [made, inner, size, size],
          values: numbers(made * inner * size * size, 1, 1.2 / Math.sqrt(inner * size * size)),
        },
        ...(seed % 3 === 0 && { [name('b')]: { dims: [made], values: numbers(made, 2) } }),
      };
      // No side gets shorter than the next kernel.
      const attributes = convAttributes({ size, group, pad: size === 1 ? 0 : seed % 4 === 0 ? 2 : 1 });
      return only(
        { type: 'Conv', input: [input, ...Object.keys(constants)], output, attributes },
        constants,
        made,
      );
    }
    case 'transposed': {
      const made = 1 + (seed % 3);
      const w = { dims: [channels, made, 2, 2], values: numbers(channels * made * 4, 3, 0.7) };
      const attributes = [intsAttribute('kernel_shape', [2, 2]), intAttribute('group', 1)];
      const layer = { type: 'ConvTranspose', input: [input, name('w')], output, attributes };
      return only(layer, { [name('w')]: w }, made);
    }
    case 'scalar': {
      const type = ['Mul', 'Add', 'Sub', 'Div'][seed % 4] ?? 'Mul';
      const dims = seed % 3 === 0 ? [] : [1];
      const values = [0.3 + numbers(1, 4).reduce((sum, value) => sum + Math.abs(value), 0)];
      const order = type === 'Sub' || type === 'Div' ? [input, name('c')] : operands(name('c'));
      return only({ type, input: order, output }, { [name('c')]: { dims, values } });
    }
    case 'perChannel': {
      const dims = seed % 3 === 0 ? [channels, 1, 1] : [1, channels, 1, 1];
      const type = seed % 4 < 2 ? 'Mul' : 'Add';
      const constants = { [name('c')]: { dims, values: numbers(channels, 5) } };
      return only({ type, input: operands(name('c')), output }, constants);
    }
    case 'normalization': {
      const parts = { scale: 6, shift: 7, mean: 8, variance: 9 };
      const constants = Object.fromEntries(
        Object.entries(parts).map(([part, salt]) => {
          const values = numbers(channels, salt).map((v) => (part === 'variance' ? Math.abs(v) + 0.2 : v));
          return [name(part), { dims: [channels], values }];
        }),
      );
      const attributes = [floatAttribute('epsilon', 1e-4)];
      const inputs = [input, ...Object.keys(constants)];
      return only({ type: 'BatchNormalization', input: inputs, output, attributes }, constants);
    }
    case 'hardSwish':
      return { layers: hardSwishLayers(input, output), constants: {}, channels };
    case 'relu':
      return only({ type: 'Relu', input: [input], output });
    case 'gate': {
      const layers = [
        { type: 'GlobalAveragePool', input: [input], output: name('mean') },
        { type: 'Sigmoid', input: [name('mean')], output: name('gate') },
        { type: 'Mul', input: operands(name('gate')), output: name('product') },
        { type: 'Add', input: operands(name('product')), output },
      ];
      return { layers, constants: {}, channels };
    }
    case 'identity':
      return seed % 2 === 0
        ? only({ type: 'Identity', input: [input], output })
        : only({ type: 'Mul', input: [input, 'one'], output });
  }
}
