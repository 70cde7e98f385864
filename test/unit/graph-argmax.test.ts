import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { argmaxOutputs, foldArgmax } from '@glyphmill/inference/graph-argmax';
import { optimizeGraph } from '@glyphmill/inference/graph-optimize';
import { inspectModel } from '@glyphmill/inference/onnx-inspect';
import { decodeModel, encodeModel } from '@glyphmill/inference/onnx-model';
import { intAttribute, intsAttribute } from '@glyphmill/inference/onnx-tensor';
import {
  constant,
  type Graph,
  hardSwishLayers,
  type Layer,
  modelOf,
  picture,
  runModel,
} from './graph-setup.ts';

/** x [n, 3, h, w] → softmax over the last of [n, 3, h × w], by opset. */
function softmaxOver(
  opset: number,
  {
    axis = 2,
    outputDims = ['n', 3, 16],
    named = false,
  }: Partial<Graph> & { axis?: number; named?: boolean } = {},
) {
  const layers: Layer[] = [
    { type: 'Flatten', input: ['x'], output: 'flat', attributes: [intAttribute('axis', 2)] },
    { type: 'Reshape', input: ['flat', 'shape'], output: 'lines' },
    {
      type: 'Softmax',
      input: ['lines'],
      output: named ? 'z' : 'y',
      attributes: [intAttribute('axis', axis)],
    },
    ...(named
      ? [
          { type: 'Mul', input: ['z', 'one'], output: 'same' },
          { type: 'Identity', input: ['same'], output: 'y' },
        ]
      : []),
  ];
  const model = decodeModel(
    modelOf({ layers, constants: { one: { dims: [1], values: [1] } }, opset, outputDims }),
  );
  model.graph.initializer.push({
    name: 'shape',
    dims: [3n],
    data_type: 7,
    float_data: [],
    int64_data: [1n, 3n, -1n],
  });
  return encodeModel(model);
}

describe('the best class of each step, taken in the graph', () => {
  for (const opset of [9, 13, 18])
    it(`has the probability that the softmax of opset ${opset} gives it`, async () => {
      const model = softmaxOver(opset);
      const folded = foldArgmax(model, { output: 'y' });
      assert.equal(folded.classes, 16);
      const [whole] = await runModel(model, picture(4));
      const [scores] = await runModel(folded.model, picture(4), [argmaxOutputs.scores]);
      assert.deepEqual(scores?.dims, [1, 3]);
      for (const step of [0, 1, 2])
        assert.equal(
          scores?.data[step],
          Math.max(...(whole?.data.subarray(step * 16, step * 16 + 16) ?? [])),
        );
    });

  it('is found where the exporter names the output by steps that change nothing', async () => {
    const folded = foldArgmax(softmaxOver(13, { named: true }), { output: 'y' }).model;
    const types = decodeModel(folded).graph.node.map(({ op_type }) => op_type);
    assert.ok(!types.includes('Identity') && !types.includes('Mul'), types.join(', '));
    const expected = await runModel(foldArgmax(softmaxOver(13), { output: 'y' }).model, picture(4), [
      'scores',
    ]);
    assert.deepEqual(await runModel(folded, picture(4), ['scores']), expected);
  });

  it('is what the outputs say, without the softmax', () => {
    const { outputs } = inspectModel(foldArgmax(softmaxOver(13), { output: 'y' }).model);
    assert.deepEqual(outputs, [
      { name: 'indices', type: 'int32', dims: ['n', 3] },
      { name: 'scores', type: 'float32', dims: ['n', 3] },
    ]);
  });

  it('is refused for an output that is no softmax over [n, steps, classes], or not there', () => {
    for (const [model, output] of [
      [softmaxOver(13), 'lines'],
      [softmaxOver(13), 'none'],
      [softmaxOver(13, { axis: 1 }), 'y'],
      [softmaxOver(13, { outputDims: ['n', 3, 4, 4] }), 'y'],
      [softmaxOver(13, { outputDims: ['n', 3, 'classes'] }), 'y'],
      [modelOf({ layers: [{ type: 'Relu', input: ['x'], output: 'y' }], outputDims: ['n', 3, 4] }), 'y'],
    ] as const)
      assert.throws(
        () => foldArgmax(model, { output }),
        /expected output ".*" to be a Softmax over the last/,
      );
  });

  it('is refused where the names of the new outputs are taken', () => {
    const { model } = foldArgmax(softmaxOver(13), { output: 'y' });
    const twice = decodeModel(model);
    twice.graph.output.push({ name: 'y', type: decodeModel(softmaxOver(13)).graph.output[0]?.type });
    assert.throws(() => foldArgmax(encodeModel(twice), { output: 'y' }), /no value "indices"/);
  });
});

describe('a model with a graph inside a node', () => {
  it('keeps what that graph refers to', async () => {
    const layers: Layer[] = [
      { type: 'ReduceMax', input: ['x'], output: 'most', attributes: [intAttribute('keepdims', 0)] },
      { type: 'Greater', input: ['most', 'zero'], output: 'isLight' },
      ...hardSwishLayers('x', 'swish'),
      { type: 'If', input: ['isLight'], output: 'y' },
    ];
    const constants = { zero: constant(0), three: constant(3), six: constant(6) };
    const branch = (name: string) =>
      decodeModel(modelOf({ layers: [{ type: 'Relu', input: [name], output: 'r' }], outputs: ['r'] })).graph;
    const model = decodeModel(modelOf({ layers, constants }));
    const root = model.graph.node.at(-1);
    for (const [name, read] of [
      ['then_branch', 'swish.product'],
      ['else_branch', 'swish'],
    ] as const)
      root?.attribute.push({ name, g: graphBytes(branch(read)), ints: [], graphs: [], type: 5 });
    const original = encodeModel(model);
    const { model: optimized, changes } = optimizeGraph(original);
    assert.deepEqual(changes, []);
    assert.deepEqual(
      (await runModel(optimized, picture(4)))[0]?.data,
      (await runModel(original, picture(4)))[0]?.data,
    );
  });
});

/** A graph without inputs of its own, as bytes: what a model holds in field 7. */
function graphBytes(graph: ReturnType<typeof decodeModel>['graph']): Uint8Array<ArrayBuffer> {
  const bytes = encodeModel({ ir_version: 8n, opset_import: [], graph: { ...graph, input: [] } });
  // ir_version is two bytes, then comes the tag of field 7 and the graph's length.
  let start = 3;
  while ((bytes[start] ?? 0) > 127) start++;
  return Uint8Array.from(bytes.subarray(start + 1));
}

describe('what a model says of itself', () => {
  it('names inputs, outputs, opset and operators', () => {
    const layers: Layer[] = [
      { type: 'Relu', input: ['x'], output: 'a' },
      { type: 'Relu', input: ['a'], output: 'b' },
      { type: 'ReduceMean', input: ['b'], output: 'y', attributes: [intsAttribute('axes', [1])] },
    ];
    const model = modelOf({ layers, opset: 11, outputDims: ['n', 1, 'h', ''] });
    assert.deepEqual(inspectModel(model), {
      irVersion: 8,
      opset: 11,
      inputs: [{ name: 'x', type: 'float32', dims: ['n', 3, 'h', 'w'] }],
      outputs: [{ name: 'y', type: 'float32', dims: ['n', 1, 'h', '?'] }],
      operators: [
        { type: 'Relu', count: 2 },
        { type: 'ReduceMean', count: 1 },
      ],
      sizeBytes: model.length,
    });
  });

  it('is refused for other bytes', () => {
    assert.throws(() => inspectModel(new Uint8Array([1, 2, 3])), /expected an ONNX model/);
  });
});
