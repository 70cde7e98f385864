import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { optimizeGraph } from '@glyphmill/inference/graph-optimize';
import { inspectModel } from '@glyphmill/inference/onnx-inspect';
import { decodeModel } from '@glyphmill/inference/onnx-model';
import { floatAttribute, intAttribute, intsAttribute } from '@glyphmill/inference/onnx-tensor';
import {
  constant,
  convAttributes,
  difference,
  type Graph,
  hardSwishConstants,
  hardSwishLayers,
  kernel,
  type Layer,
  modelOf,
  oldClip,
  picture,
  runModel,
} from './graph-setup.ts';

/** Optimises a graph, holds its outputs against the original's, and gives the rules that changed it. */
async function changesOf(graph: Graph): Promise<string[]> {
  const original = modelOf(graph);
  const { model, changes } = optimizeGraph(original);
  const outputs = graph.outputs ?? ['y'];
  const before = await runModel(original, picture(9), outputs);
  const after = await runModel(model, picture(9), outputs);
  for (const [i, { data, dims }] of before.entries()) {
    assert.deepEqual(after[i]?.dims, dims);
    const found = difference(data, after[i]?.data ?? new Float32Array());
    assert.ok(found < 1e-5, `${outputs[i]} differs by ${found}`);
  }
  return changes.map(({ rule, count }) => (count === 1 ? rule : `${rule} ×${count}`));
}

function operatorsOf(graph: Graph): string[] {
  return inspectModel(optimizeGraph(modelOf(graph)).model).operators.map(({ type }) => type);
}

const conv = (input: string, output: string, { pad = 0, size = 3, bias = false } = {}): Layer => ({
  type: 'Conv',
  input: [input, `w${size}`, ...(bias ? ['bias'] : [])],
  output,
  attributes: convAttributes({ size, pad }),
});
const weights = { w3: kernel(3, 3), w1: kernel(3, 1), bias: { dims: [3], values: [0.5, -1, 2] } };
const layer = (type: string, input: string[], output: string): Layer => ({ type, input, output });

describe('hard-swish written out', () => {
  const constants = { ...hardSwishConstants, sixth: constant(1 / 6), two: constant(2) };

  it('becomes a HardSigmoid and a Mul', async () => {
    const graph = { layers: hardSwishLayers('x', 'y'), constants };
    assert.deepEqual(await changesOf(graph), ['hard-swish']);
    assert.deepEqual(operatorsOf(graph), ['HardSigmoid', 'Mul']);
  });

  it('becomes one with the factors and terms in any order', async () => {
    const layers = [
      layer('Add', ['three', 'x'], 'a'),
      layer('Clip', ['a', 'zero', 'six'], 'b'),
      layer('Mul', ['b', 'x'], 'c'),
      layer('Mul', ['sixth', 'c'], 'y'),
    ];
    assert.deepEqual(await changesOf({ layers, constants }), ['hard-swish']);
  });

  it('becomes one with the division at the clip', async () => {
    const layers = [
      layer('Add', ['x', 'three'], 'a'),
      layer('Clip', ['a', 'zero', 'six'], 'b'),
      layer('Div', ['b', 'six'], 'c'),
      layer('Mul', ['c', 'x'], 'y'),
    ];
    assert.deepEqual(await changesOf({ layers, constants }), ['hard-swish']);
  });

  it('becomes one with the limits of older opsets, which are attributes', async () => {
    const layers = hardSwishLayers('x', 'y').map((found) =>
      found.type === 'Clip' ? { ...found, input: ['y.sum'], attributes: oldClip } : found,
    );
    assert.deepEqual(await changesOf({ layers, constants, opset: 9 }), ['hard-swish']);
  });

  it('stays with another constant', async () => {
    for (const wrong of [
      { three: constant(2.5) },
      { zero: constant(-1) },
      { six: constant(5) },
      { zero: constant(1), three: constant(3) },
    ])
      assert.deepEqual(
        await changesOf({ layers: hardSwishLayers('x', 'y'), constants: { ...constants, ...wrong } }),
        [],
      );
  });

  it('stays where the clipped value is not of the same x', async () => {
    const layers = [layer('Mul', ['x', 'two'], 'other'), ...hardSwishLayers('other', 'y')].map((found) =>
      found.output === 'y.product' ? { ...found, input: ['x', 'y.clip'] } : found,
    );
    assert.deepEqual(await changesOf({ layers, constants }), []);
  });

  it('stays where others read or the caller sees what lies between', async () => {
    const layers = [...hardSwishLayers('x', 'swish'), layer('Add', ['swish', 'swish.clip'], 'y')];
    assert.deepEqual(await changesOf({ layers, constants }), []);
    const seen = { layers: hardSwishLayers('x', 'y'), constants, outputs: ['y', 'y.product'] };
    assert.deepEqual(await changesOf(seen), []);
  });
});

describe('an affine map behind a convolution', () => {
  const rule = 'affine-after-convolution';
  const normalization = {
    scale: { dims: [3], values: [1, 2, -0.5] },
    shift: { dims: [3], values: [0, 1, 2] },
    mean: { dims: [3], values: [0.1, -0.2, 3] },
    variance: { dims: [3], values: [0.5, 2, 1e-3] },
  };

  it('goes into the weights and the bias', async () => {
    const layers = [
      conv('x', 'a', { pad: 1 }),
      layer('Mul', ['two', 'a'], 'b'),
      layer('Add', ['b', 'perChannel'], 'c'),
      layer('Sub', ['c', 'two'], 'd'),
      layer('Div', ['d', 'perChannel'], 'y'),
    ];
    const constants = { ...weights, two: constant(2), perChannel: constant(1, -2, 3) };
    assert.deepEqual(await changesOf({ layers, constants }), [`${rule} ×4`]);
    assert.deepEqual(operatorsOf({ layers, constants }), ['Conv']);
  });

  it('goes in from a batch normalisation, and beside a bias that is there', async () => {
    const layers: Layer[] = [
      conv('x', 'a', { bias: true }),
      {
        type: 'BatchNormalization',
        input: ['a', 'scale', 'shift', 'mean', 'variance'],
        output: 'y',
        attributes: [floatAttribute('epsilon', 1e-3)],
      },
    ];
    const constants = { ...weights, ...normalization };
    assert.deepEqual(await changesOf({ layers, constants }), [rule]);
    assert.deepEqual(operatorsOf({ layers, constants }), ['Conv']);
  });

  it('goes into a transposed convolution of any groups, whose weights lie the other way', async () => {
    for (const [group, outputs] of [
      [1, 6],
      [3, 2],
    ] as const) {
      const w = { dims: [3, outputs, 2, 2], values: kernel(3, 2, outputs).values };
      const channels = outputs * group;
      const factors = Array.from({ length: channels }, (_, i) => i - 2.5);
      const layers: Layer[] = [
        {
          type: 'ConvTranspose',
          input: ['x', 'w'],
          output: 'a',
          attributes: [
            intsAttribute('kernel_shape', [2, 2]),
            intsAttribute('strides', [2, 2]),
            intAttribute('group', group),
          ],
        },
        layer('Mul', ['a', 'factors'], 'b'),
        layer('Add', ['b', 'factors'], 'y'),
      ];
      assert.deepEqual(await changesOf({ layers, constants: { w, factors: constant(...factors) } }), [
        `${rule} ×2`,
      ]);
    }
  });

  it('stays where the convolution has another reader, or is an output', async () => {
    const constants = { ...weights, two: constant(2) };
    const layers = [conv('x', 'a'), layer('Mul', ['a', 'two'], 'y')];
    assert.deepEqual(await changesOf({ layers, constants, outputs: ['y', 'a'] }), []);
    const shared = [conv('x', 'a'), layer('Mul', ['a', 'two'], 'b'), layer('Add', ['a', 'b'], 'y')];
    assert.deepEqual(await changesOf({ layers: shared, constants }), []);
  });

  it('stays where the constant is per place, widens the result, or is divided', async () => {
    const row = { dims: [7], values: [1, 2, 3, 4, 5, 6, 7] };
    const stacked = { dims: [1, 1, 1, 1, 1], values: [2] };
    for (const [type, input, constants] of [
      ['Mul', ['a', 'row'], { row }],
      ['Mul', ['a', 'stacked'], { stacked }],
      ['Div', ['two', 'a'], { two: constant(2) }],
      ['Sub', ['two', 'a'], { two: constant(2) }],
    ] as const)
      assert.deepEqual(
        await changesOf({
          layers: [conv('x', 'a'), layer(type, [...input], 'y')],
          constants: { ...weights, ...constants },
        }),
        [],
      );
  });

  it('stays where one channel is spread over many', async () => {
    const layers = [
      { ...conv('x', 'a', { size: 1 }), input: ['x', 'narrow'] },
      layer('Mul', ['a', 'many'], 'y'),
    ];
    assert.deepEqual(
      await changesOf({ layers, constants: { narrow: kernel(1, 1), many: constant(1, 2, 3) } }),
      [],
    );
  });
});

describe('an affine map before a convolution', () => {
  const constants = { ...weights, two: constant(2), half: constant(0.5), many: constant(1, 2, 3) };

  it('goes in whole where nothing is padded', async () => {
    const layers = [layer('Mul', ['x', 'two'], 'a'), layer('Add', ['half', 'a'], 'b'), conv('b', 'y')];
    assert.deepEqual(await changesOf({ layers, constants }), ['affine-before-convolution ×2']);
  });

  it('goes in but for its shift where the convolution pads with 0', async () => {
    const shift = [layer('Add', ['x', 'two'], 'a'), conv('a', 'y', { pad: 1 })];
    assert.deepEqual(await changesOf({ layers: shift, constants }), []);
    const scale = [layer('Div', ['x', 'two'], 'a'), conv('a', 'y', { pad: 1 })];
    assert.deepEqual(await changesOf({ layers: scale, constants }), ['affine-before-convolution']);
    const automatic = [
      layer('Add', ['x', 'two'], 'a'),
      {
        ...conv('a', 'y'),
        attributes: [{ name: 'auto_pad', s: Buffer.from('SAME_UPPER'), ints: [], graphs: [], type: 3 }],
      },
    ];
    assert.deepEqual(await changesOf({ layers: automatic, constants }), []);
  });

  it('stays where others read it, and per channel', async () => {
    const read = [layer('Mul', ['x', 'two'], 'a'), conv('a', 'b', { pad: 1 }), layer('Add', ['a', 'b'], 'y')];
    assert.deepEqual(await changesOf({ layers: read, constants }), []);
    const many = [layer('Mul', ['x', 'many'], 'a'), conv('a', 'y')];
    assert.deepEqual(await changesOf({ layers: many, constants }), []);
  });
});

describe('an affine map between convolutions', () => {
  const constants = { ...weights, ...hardSwishConstants, two: constant(2), half: constant(0.5) };
  const between = [
    conv('x', 'a'),
    layer('Relu', ['a'], 'b'),
    layer('Mul', ['b', 'two'], 'c'),
    layer('Add', ['c', 'half'], 'd'),
  ];

  it('becomes one normalisation where the next one pads, or there are two', async () => {
    const padded = { layers: [...between, conv('d', 'y', { pad: 1 })], constants };
    assert.deepEqual(await changesOf(padded), ['affine-to-normalization']);
    assert.deepEqual(operatorsOf(padded), ['Conv', 'BatchNormalization', 'Relu']);
    const two = [...between, conv('d', 'e'), conv('d', 'f'), layer('Add', ['e', 'f'], 'y')];
    assert.deepEqual(await changesOf({ layers: two, constants }), ['affine-to-normalization']);
  });

  it('keeps the scale apart where others read its result', async () => {
    const layers = [...between, conv('d', 'e', { pad: 1 }), layer('Add', ['c', 'e'], 'y')];
    assert.deepEqual(await changesOf({ layers, constants }), ['affine-to-normalization']);
    assert.ok(operatorsOf({ layers, constants }).includes('Mul'));
  });

  it('stays where no convolution comes before or after, or broadcasting makes the channels', async () => {
    assert.deepEqual(await changesOf({ layers: between, constants, outputs: ['d'] }), []);
    const first = [layer('Relu', ['x'], 'a'), layer('Add', ['a', 'two'], 'b'), conv('b', 'y', { pad: 1 })];
    assert.deepEqual(await changesOf({ layers: first, constants }), []);
    const layers = [
      { ...conv('x', 'a', { size: 1 }), input: ['x', 'narrow'] },
      layer('Relu', ['a'], 'b'),
      layer('Mul', ['b', 'many'], 'c'),
      layer('Add', ['c', 'two'], 'd'),
      conv('d', 'y', { pad: 1 }),
    ];
    const spread = { ...constants, narrow: kernel(1, 1), many: constant(1, 2, 3) };
    assert.deepEqual(await changesOf({ layers, constants: spread }), []);
  });
});

describe('a gate', () => {
  const gate = [
    layer('GlobalAveragePool', ['x'], 'mean'),
    layer('HardSigmoid', ['mean'], 'gate'),
    layer('Mul', ['x', 'gate'], 'product'),
  ];

  it('takes up the 1 of a sum', async () => {
    for (const input of [
      ['x', 'product'],
      ['product', 'x'],
    ])
      assert.deepEqual(await changesOf({ layers: [...gate, layer('Add', input, 'y')] }), ['gated-sum']);
  });

  it('stays where the product is read elsewhere, or the sum is of another value', async () => {
    const sum = layer('Add', ['x', 'product'], 'y');
    assert.deepEqual(await changesOf({ layers: [...gate, sum], outputs: ['y', 'product'] }), []);
    const other = [...gate, layer('Relu', ['x'], 'z'), layer('Add', ['z', 'product'], 'y')];
    assert.deepEqual(await changesOf({ layers: other }), []);
  });
});

describe('a mean behind a 1×1 convolution', () => {
  const wide = { dims: [5], values: [1, 2, 3, 4, 5] };
  const widening = (attributes = convAttributes({ size: 1 })): Layer[] => [
    { type: 'Conv', input: ['x', 'w', 'wide'], output: 'a', attributes },
    layer('GlobalAveragePool', ['a'], 'b'),
    layer('Mul', ['a', 'b'], 'y'),
  ];

  it('is taken before it where that is less to add up', async () => {
    const constants = { w: kernel(5, 1), wide };
    assert.deepEqual(await changesOf({ layers: widening(), constants }), ['pool-before-pointwise']);
  });

  it('stays behind one that narrows, strides, pads or is larger', async () => {
    const narrow = { w: kernel(2, 1), wide: { dims: [2], values: [1, 2] } };
    assert.deepEqual(await changesOf({ layers: widening(), constants: narrow }), []);
    for (const [options, size] of [
      [{ size: 1, stride: 2 }, 1],
      [{ size: 1, pad: 1 }, 1],
      [{ size: 3 }, 3],
    ] as const)
      assert.deepEqual(
        await changesOf({
          layers: widening(convAttributes(options)),
          constants: { w: kernel(5, size), wide },
        }),
        [],
      );
  });
});

describe('nodes without effect', () => {
  const constants = { one: constant(1), zero: constant(0), list: { dims: [1], values: [1] } };

  it('are taken out: identities, and what nobody reads', async () => {
    const layers = [
      layer('Identity', ['x'], 'a'),
      layer('Mul', ['one', 'a'], 'b'),
      layer('Add', ['b', 'zero'], 'c'),
      layer('Sub', ['c', 'zero'], 'd'),
      layer('Div', ['d', 'one'], 'e'),
      layer('Exp', ['e'], 'unread'),
      layer('Log', ['unread'], 'unreadToo'),
      layer('Relu', ['e'], 'y'),
    ];
    assert.deepEqual(await changesOf({ layers, constants }), ['identity ×5', 'dead-node ×2']);
    assert.deepEqual(operatorsOf({ layers, constants }), ['Relu']);
    assert.deepEqual(decodeModel(optimizeGraph(modelOf({ layers, constants })).model).graph.initializer, []);
  });

  it('stay where they make an output, or may give it another rank', async () => {
    assert.deepEqual(await changesOf({ layers: [layer('Identity', ['x'], 'y')] }), []);
    const layers = [layer('Mul', ['x', 'list'], 'a'), layer('Relu', ['a'], 'y')];
    assert.deepEqual(await changesOf({ layers, constants }), []);
  });
});

describe('a model', () => {
  const layers = [conv('x', 'a', { pad: 1 }), layer('Mul', ['a', 'six'], 'b'), ...hardSwishLayers('b', 'y')];
  const graph = { layers, constants: { ...weights, ...hardSwishConstants } };

  it('gives the same bytes each time, and is done after one pass', () => {
    const first = optimizeGraph(modelOf(graph));
    const second = optimizeGraph(modelOf(graph));
    assert.deepEqual(first, second);
    assert.deepEqual(optimizeGraph(first.model), { model: first.model, changes: [] });
  });

  it('is given back as it came where there is nothing to do, or constants are inputs', () => {
    const plain = modelOf({ layers: [layer('Relu', ['x'], 'y')] });
    assert.equal(optimizeGraph(plain).model, plain);
    const old = modelOf({ ...graph, irVersion: 3 });
    assert.deepEqual(optimizeGraph(old), { model: old, changes: [] });
  });

  it('is refused where the bytes are something else', () => {
    assert.throws(() => optimizeGraph(new TextEncoder().encode('weights of 10')), /expected an ONNX model/);
    assert.throws(() => optimizeGraph(new Uint8Array()), /expected an ONNX model/);
  });
});
