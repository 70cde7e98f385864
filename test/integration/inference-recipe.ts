/**
 * A recogniser of the shape that the Triton recipe serves, x [n, 3, 64, 256] → softmax_12.tmp_0 [n, 40, 6625], with
 * the recipe's batching. Each dark bar reads "A": every step looks at the mean of its columns alone.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModel, type OnnxValue } from '@glyphmill/inference/onnx-model';
import {
  elementType,
  floatAttribute,
  floatTensor,
  intAttribute,
  intsAttribute,
  newNode,
} from '@glyphmill/inference/onnx-tensor';

const height = 64;
const width = 256;
const steps = 40;
export const recipeClasses = 6625;
const output = 'softmax_12.tmp_0';
/** "A" in the dictionary, counted from 1: class 0 is the blank. */
const letter = 1221;

/** A white line with this many dark bars. */
export function barLine(bars: number) {
  const data = new Uint8Array(width * height * 3).fill(255);
  for (let y = 0; y < height; y++)
    for (let bar = 0; bar < bars; bar++) {
      const start = (y * width + 20 + bar * 40) * 3;
      data.fill(0, start, start + 20 * 3);
    }
  return { width, height, data };
}

/** `config.pbtxt` as one writes it for Triton, which leaves role and dictionary to its clients. */
function recipeConfig(name: string): string {
  return `name: "${name}"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  {
    name: "x"
    data_type: TYPE_FP32
    dims: [ 3, ${height}, ${width} ]
  }
]
output [
  {
    name: "${output}"
    data_type: TYPE_FP32
    dims: [ ${steps}, ${recipeClasses} ]
  }
]
instance_group [ { count: 2 } ]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 1000
}
`;
}

/** `extra` is the end of its config.pbtxt. */
export async function writeRecipeModel(repository: string, name: string, extra = ''): Promise<void> {
  const directory = join(repository, name);
  await mkdir(join(directory, '1'), { recursive: true });
  await writeFile(join(directory, '1/model.onnx'), recipeOnnx());
  await writeFile(join(directory, 'config.pbtxt'), `${recipeConfig(name)}${extra}\n`);
}

/** `isRandom`: its scores are other ones at every run. */
export function recipeOnnx({ isRandom = false } = {}): Uint8Array {
  const columns = new Float32Array(width * steps);
  for (let x = 0; x < width; x++) columns[x * steps + Math.floor((x * steps) / width)] = steps / width;
  const classes = new Float32Array(recipeClasses);
  classes[0] = 20;
  classes[letter] = -20;
  const nodes = [
    newNode({
      type: 'ReduceMean',
      input: ['x'],
      output: 'columns',
      attributes: [intsAttribute('axes', [1, 2]), intAttribute('keepdims', 0)],
    }),
    newNode({ type: 'MatMul', input: ['columns', 'toSteps'], output: 'steps' }),
    newNode({
      type: 'Unsqueeze',
      input: ['steps'],
      output: 'column',
      attributes: [intsAttribute('axes', [2])],
    }),
    newNode({ type: 'Mul', input: ['column', 'classes'], output: 'logits' }),
    newNode({ type: 'Identity', input: ['logits'], output: isRandom ? 'same' : 'sum' }),
    ...(isRandom ? randomNodes() : []),
    newNode({ type: 'Softmax', input: ['sum'], output, attributes: [intAttribute('axis', 2)] }),
  ];
  return encodeModel({
    ir_version: 8n,
    opset_import: [{ domain: '', version: 11n }],
    graph: {
      name: 'recipe',
      node: nodes,
      initializer: [
        floatTensor('toSteps', [width, steps], columns),
        floatTensor('classes', [1, 1, recipeClasses], classes),
      ],
      input: [value('x', ['n', 3, height, width])],
      output: [value(output, ['n', steps, recipeClasses])],
      value_info: [],
    },
  });
}

/** An operation less shifts the seeds of those that follow, so that these give other numbers after the graph work. */
function randomNodes() {
  const attributes = [floatAttribute('low', 0), floatAttribute('high', 50)];
  return [
    newNode({ type: 'RandomUniformLike', input: ['same'], output: 'noise', attributes }),
    newNode({ type: 'Add', input: ['same', 'noise'], output: 'sum' }),
  ];
}

function value(name: string, dims: readonly (number | string)[]): OnnxValue {
  const dim = dims.map((size) =>
    typeof size === 'number' ? { dim_value: BigInt(size) } : { dim_param: size },
  );
  return { name, type: { tensor_type: { elem_type: elementType.float, shape: { dim } } } };
}
