import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { assertOnCuda, cudaProof } from '@glyphmill/inference/cuda-proof';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { openModels } from '@glyphmill/inference/models';
import { encodeModel, type OnnxValue } from '@glyphmill/inference/onnx-model';
import {
  elementType,
  floatTensor,
  intAttribute,
  intsAttribute,
  newNode,
} from '@glyphmill/inference/onnx-tensor';
import { infer } from '@glyphmill/inference/session';
import { type TinyModel, writeTinyModel } from './inference-onnx.ts';
import { newRepository, quietLog } from './inference-samples.ts';

describe('starting models', () => {
  let repository = '';

  before(async () => {
    repository = await newRepository();
  });

  after(() => rm(repository, { recursive: true }));

  const open = async (model: Omit<TinyModel, 'kind'>) => {
    await writeTinyModel(repository, { kind: 'plain', ...model });
    const log = quietLog();
    const names = { recognize: model.name };
    const models = await openModels({ repository, names, log, instances: { recognize: 1 } });
    await models.close(0);
    return log;
  };

  it('takes a model whose config says what the model is', async () => {
    await open({ name: 'right' });
    await open({ name: 'right-one-by-one', batch: 1, maxBatchSize: 1 });
  });

  it('refuses a fixed batch dimension under a larger max_batch_size', async () => {
    await assert.rejects(open({ name: 'fixed', batch: 1 }), {
      name: 'ModelConfigError',
      field: 'max_batch_size',
      remedy: /Set max_batch_size: 1/,
    });
  });

  it('refuses a dictionary that does not fit the classes of the output', async () => {
    await assert.rejects(open({ name: 'labels', labels: 'a\nb\nc\n' }), {
      name: 'ModelConfigError',
      field: 'output.label_filename',
      message: /labels\.txt/,
    });
  });

  it('refuses a config whose output the model does not have', async () => {
    await writeTinyModel(repository, { name: 'renamed', kind: 'plain' });
    const file = join(repository, 'renamed/config.pbtxt');
    await writeFile(file, (await readFile(file, 'utf8')).replace('name: "y"', 'name: "z"'));
    const opening = openModels({ repository, names: { recognize: 'renamed' }, log: quietLog() });
    await assert.rejects(opening, { field: 'output.name', remedy: /It has: y/, file });
  });

  it('takes no output of another shape for text or lines', async () => {
    await writeTinyModel(repository, { name: 'turned', kind: 'plain' });
    await writeFile(join(repository, 'turned/1/model.onnx'), turnedOutput('recognize'));
    const opening = openModels({ repository, names: { recognize: 'turned' }, log: quietLog() });
    await assert.rejects(opening, {
      code: 'start-failed',
      message: /expected \[1, steps, classes\], got \[32, 1, 4\]/,
    });
    await mkdir(join(repository, 'turned-map/1'), { recursive: true });
    await writeFile(join(repository, 'turned-map/1/model.onnx'), turnedOutput('detect'));
    await writeFile(
      join(repository, 'turned-map/config.pbtxt'),
      `name: "turned-map" max_batch_size: 1
      input { name: "x" data_type: TYPE_FP32 dims: [3, -1, -1] }
      output { name: "y" data_type: TYPE_FP32 dims: [1, -1, -1] }`,
    );
    const names = { detect: 'turned-map', recognize: 'ppocrv4-rec' };
    const models = await openModels({ repository, names, instances: { recognize: 1 }, log: quietLog() });
    try {
      const page = (width: number, height: number) => ({
        width,
        height,
        data: new Uint8Array(width * height * 3),
      });
      await models.detect(page(64, 64));
      const wide = models.detect(page(96, 32));
      await assert.rejects(wide, {
        code: 'bad-output',
        message: /expected \[1, 1, 32, 96\], got \[1, 1, 96, 32\]/,
      });
    } finally {
      await models.close(0);
    }
  });

  it('asks which model is meant where several have the role', async () => {
    await writeTinyModel(repository, { name: 'right', kind: 'plain' });
    await writeTinyModel(repository, { name: 'also-right', kind: 'plain' });
    const opening = openModels({ repository, log: quietLog() });
    await assert.rejects(opening, {
      field: 'parameters.role',
      message: /also-right, .*right.*RECOGNIZE_MODEL/,
    });
  });

  it('says which provider an automatic group took, and why', {
    skip: cudaLibraryMissing() === undefined,
  }, async () => {
    const log = await open({ name: 'automatic' });
    const ready = log.lines.filter(({ message }) => message === 'model ready');
    assert.equal(ready.length, 2);
    for (const { fields } of ready)
      assert.match(JSON.stringify(fields), /"provider":"cpu".*CUDA provider library/);
  });

  it('fails closed where CUDA is required and absent', {
    skip: cudaLibraryMissing() === undefined,
  }, async () => {
    const gpu = 'instance_group { kind: KIND_GPU }';
    const refusal = { name: 'ModelError', code: 'provider-unavailable', message: /KIND_CPU/ };
    await assert.rejects(open({ name: 'gpu', extra: gpu }), refusal);
    const names = { recognize: 'ppocrv4-rec' };
    await assert.rejects(openModels({ repository, names, provider: 'cuda', log: quietLog() }), refusal);
    const opening = openModels({ repository, names: { recognize: 'gpu' }, provider: 'cpu', log: quietLog() });
    await assert.rejects(opening, { name: 'ModelConfigError', field: 'instance_group.kind' });
  });

  it('takes a run on the CPU for no proof of CUDA', async () => {
    const modelPath = join(repository, 'ppocrv4-rec/1/model.onnx');
    const config = parseModelConfig(
      await readFile(join(repository, 'ppocrv4-rec/config.pbtxt'), 'utf8'),
      'config.pbtxt',
    );
    const proof = cudaProof(modelPath, { executionProviders: ['cpu'] }, async (session) => {
      await infer(session, config, new Float32Array(3 * 48 * 64), [1, 3, 48, 64]);
    });
    await assert.rejects(proof, /ran outside CUDA/);
    assert.throws(() => assertOnCuda('[]'));
    const event = (op_name: string, provider: string) => ({ cat: 'Node', args: { op_name, provider } });
    assertOnCuda(
      JSON.stringify([event('Conv', 'CUDAExecutionProvider'), event('Shape', 'CPUExecutionProvider')]),
    );
  });
});

/** y is [steps, n, classes], or a map [n, 1, width, height]: as many dims as it should have, in another order. */
function turnedOutput(role: 'recognize' | 'detect'): Uint8Array {
  const isReading = role === 'recognize';
  const axes = intsAttribute('axes', isReading ? [1, 2] : [1]);
  const value = (name: string, dims: readonly (number | string)[]): OnnxValue => {
    const dim = dims.map((size) =>
      typeof size === 'number' ? { dim_value: BigInt(size) } : { dim_param: size },
    );
    return { name, type: { tensor_type: { elem_type: elementType.float, shape: { dim } } } };
  };
  const keepdims = intAttribute('keepdims', isReading ? 0 : 1);
  const turn = (input: string, perm: number[]) =>
    newNode({ type: 'Transpose', input: [input], output: 'y', attributes: [intsAttribute('perm', perm)] });
  const last = intsAttribute('axes', [2]);
  return encodeModel({
    ir_version: 8n,
    opset_import: [{ domain: '', version: 11n }],
    graph: {
      name: 'turned',
      node: [
        newNode({ type: 'ReduceMean', input: ['x'], output: 'mean', attributes: [axes, keepdims] }),
        newNode({ type: 'Sigmoid', input: ['mean'], output: 'score' }),
        ...(isReading
          ? [
              newNode({ type: 'Unsqueeze', input: ['score'], output: 'column', attributes: [last] }),
              newNode({ type: 'Mul', input: ['column', 'classes'], output: 'scores' }),
              turn('scores', [1, 0, 2]),
            ]
          : [turn('score', [0, 1, 3, 2])]),
      ],
      initializer: [floatTensor('classes', [1, 1, 4], Float32Array.of(0.1, 0.5, 0.2, 0.3))],
      input: [value('x', ['n', 3, isReading ? 8 : 'h', 'w'])],
      output: [value('y', isReading ? ['w', 'n', 4] : ['n', 1, 'w', 'h'])],
      value_info: [],
    },
  });
}
