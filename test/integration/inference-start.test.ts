import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { assertOnCuda, cudaProof } from '@glyphmill/inference/cuda-proof';
import { parseModelConfig } from '@glyphmill/inference/model-config';
import { openModels } from '@glyphmill/inference/models';
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
