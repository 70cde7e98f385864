import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { writeImportNote } from '@glyphmill/inference/import-note';
import { type Mistake, type ModelCheck, verifyModels } from '@glyphmill/inference/model-verify';
import { decodeModel, encodeModel } from '@glyphmill/inference/onnx-model';
import { sha256File } from '@glyphmill/inference/repository';
import { type TinyModel, writeTinyModel } from './inference-onnx.ts';

/** What is wrong with a model, where it must be found, and words of the problem and the remedy. */
interface Seeded {
  model?: Omit<TinyModel, 'name' | 'kind'>;
  /** Done to the files once they are there. */
  spoil?: (directory: string) => Promise<void>;
  file: string;
  field: string;
  problem: RegExp;
  remedy: RegExp;
}

const config = 'config.pbtxt';
const onnx = '1/model.onnx';
const inConfig = (extra: string) => ({ model: { extra }, file: config });

const seeded: Record<string, Seeded> = {
  'wrong-dims': {
    spoil: (directory) => edit(directory, 'dims: [3, 8, -1]', 'dims: [3, 9, -1]'),
    file: config,
    field: 'input.dims',
    problem: /\[3, 9, -1\] does not fit the model's \[n, 3, 8, w\]/,
    remedy: /Give the dims of the model/,
  },
  'label-file': {
    spoil: (directory) => rm(join(directory, 'labels.txt')),
    file: 'labels.txt',
    field: 'output.label_filename',
    problem: /missing/,
    remedy: /Put the file there/,
  },
  dictionary: {
    model: { labels: 'a\n' },
    file: 'labels.txt',
    field: 'output.label_filename',
    problem: /2 lines for 4 classes.*got 1/,
    remedy: /the dictionary that the model was trained with/,
  },
  'fixed-batch': {
    model: { batch: 1, maxBatchSize: 8 },
    file: config,
    field: 'max_batch_size',
    problem: /batch dimension is fixed at 1/,
    remedy: /Set max_batch_size: 1/,
  },
  'unknown-field': {
    ...inConfig('dynamic_batchin { }'),
    field: 'dynamic_batchin',
    problem: /there is no such field/,
    remedy: /Check the spelling/,
  },
  ensemble: {
    ...inConfig(
      'platform: "ensemble" ensemble_scheduling { step [ { model_name: "a" model_version: -1 } ] }',
    ),
    field: 'ensemble_scheduling',
    problem: /does not support/,
    remedy: /two models with a role each/,
  },
  'absent-version': {
    ...inConfig('version_policy { specific { versions: [1, 3] } }'),
    field: 'version_policy',
    problem: /there is no version 3/,
    remedy: /Put the model at .*3\/model\.onnx/,
  },
  'instance-name': {
    ...inConfig('instance_group [ { name: "g" kind: KIND_CPU }, { name: "g" kind: KIND_CPU } ]'),
    field: 'instance_group.name',
    problem: /"g" is given twice/,
    remedy: /Keep one group/,
  },
  'preferred-size': {
    ...inConfig('dynamic_batching { preferred_batch_size: [4, 16] }'),
    field: 'dynamic_batching.preferred_batch_size',
    problem: /16 does not fit/,
    remedy: /from 1 to max_batch_size 4/,
  },
  gpu: {
    ...inConfig('instance_group { kind: KIND_GPU }'),
    field: 'instance_group.kind',
    problem: /CUDA/,
    remedy: /set KIND_CPU/,
  },
  truncated: {
    spoil: async (directory) => {
      const bytes = await readFile(join(directory, onnx));
      await writeFile(join(directory, onnx), bytes.subarray(0, bytes.length / 2));
    },
    file: onnx,
    field: 'default_model_filename',
    problem: /[Pp]rotobuf/,
    remedy: /Copy the file again/,
  },
  'nan-weights': {
    spoil: async (directory) => {
      const bytes = await readFile(join(directory, onnx));
      const weights = Buffer.from(Float32Array.of(0.1, 0.5, 0.2, 0.3).buffer);
      const at = bytes.indexOf(weights);
      assert.ok(at > 0);
      bytes.set(new Uint8Array(new Float32Array(4).fill(Number.NaN).buffer), at);
      await writeFile(join(directory, onnx), bytes);
    },
    file: onnx,
    field: 'output',
    problem: /NaN/,
    remedy: /Export the model again/,
  },
};

async function edit(directory: string, from: string, to: string): Promise<void> {
  const file = join(directory, config);
  const text = await readFile(file, 'utf8');
  assert.ok(text.includes(from));
  await writeFile(file, text.replace(from, to));
}

describe('verifying a repository', () => {
  let repository = '';
  let checks: Map<string, ModelCheck>;

  before(async () => {
    repository = await mkdtemp(join(tmpdir(), 'glyphmill-verify-'));
    await writeTinyModel(repository, { name: 'sound', kind: 'plain' });
    for (const [name, { model, spoil }] of Object.entries(seeded)) {
      await writeTinyModel(repository, { name, kind: 'plain', ...model });
      await spoil?.(join(repository, name));
    }
    checks = new Map((await verifyModels(repository)).map((check) => [check.name, check]));
  });

  after(() => rm(repository, { recursive: true }));

  for (const [name, { file, field, problem, remedy }] of Object.entries(seeded))
    it(`finds the mistake "${name}" and says where it is and what to do`, {
      skip: name === 'gpu' && cudaLibraryMissing() === undefined,
    }, () => {
      const [mistake, ...others] = checks.get(name)?.mistakes ?? [];
      assert.ok(mistake, 'none found');
      assert.deepEqual(others, []);
      assert.equal(mistake.file, join(repository, name, file));
      assert.equal(mistake.field, field);
      assert.match(mistake.problem, problem);
      assert.match(mistake.remedy, remedy);
      assert.doesNotMatch(Object.values(mistake).join(), /\n/);
      assert.deepEqual(checks.get(name)?.versions, []);
    });

  it('finds as many different mistakes as were made', { skip: cudaLibraryMissing() === undefined }, () => {
    const text = ({ field, problem }: Mistake) => `${field}: ${problem}`;
    const found = [...checks.values()].flatMap(({ mistakes }) => mistakes.map(text));
    assert.equal(new Set(found).size, Object.keys(seeded).length);
    assert.equal(found.length, 12);
  });

  it('runs a model in which nothing is wrong', () => {
    const { mistakes, versions } = checks.get('sound') ?? {};
    assert.deepEqual(mistakes, []);
    assert.equal(versions?.length, 1);
    assert.match(versions?.[0]?.sha256 ?? '', /^[0-9a-f]{64}$/);
  });

  it('looks at every version, and at a model that is not there', async () => {
    await writeTinyModel(repository, { name: 'two', kind: 'plain' });
    await cp(join(repository, 'two/1'), join(repository, 'two/2'), { recursive: true });
    await writeFile(join(repository, 'two/1/model.onnx'), 'no model');
    const [check] = await verifyModels(repository, { name: 'two' });
    assert.deepEqual(
      check?.versions.map(({ version }) => version),
      [2],
    );
    assert.deepEqual(
      check?.mistakes.map(({ file }) => file),
      [join(repository, 'two/1/model.onnx')],
    );
    const [none] = await verifyModels(repository, { name: 'none' });
    assert.equal(none?.mistakes[0]?.file, join(repository, 'none/config.pbtxt'));
  });

  it('compares a model with the original where that is at hand, and tells one that is another', async () => {
    await importDefaultModels(repository);
    const name = 'ppocrv4-rec';
    const verify = async () => (await verifyModels(repository, { name, compares: true }))[0];
    const { compared } = (await verify())?.versions[0] ?? assert.fail();
    assert.ok(compared && compared.outputs > 400);
    assert.ok(compared.largest <= Math.max(1e-5, 10 * compared.noiseFloor.largest));

    const directory = join(repository, name, '1');
    const model = decodeModel(await readFile(join(directory, 'model.onnx')));
    const bias = model.graph.initializer.find(({ dims }) => dims.length === 1)?.raw_data ?? assert.fail();
    new DataView(bias.buffer, bias.byteOffset).setFloat32(0, 1, true);
    await writeFile(join(directory, 'model.onnx'), encodeModel(model));
    const note = await readFile(join(directory, 'import.json'), 'utf8');
    const sha256 = await sha256File(join(directory, 'model.onnx'));
    await writeFile(
      join(directory, 'import.json'),
      note.replace(/("model": \{[^}]*"sha256": ")\w+/, `$1${sha256}`),
    );
    const [mistake] = (await verify())?.mistakes ?? [];
    assert.equal(mistake?.field, 'import.json: changes');
    assert.match(mistake?.problem ?? '', /outputs would differ by/);
  });

  it('tells a file that is not the one imported, and a note that is none', async () => {
    await writeTinyModel(repository, { name: 'swapped', kind: 'plain' });
    const directory = join(repository, 'swapped/1');
    const source = { file: 'some.onnx', sha256: 'a'.repeat(64) };
    await writeImportNote(directory, {
      source,
      model: { file: 'model.onnx', sha256: 'b'.repeat(64) },
      changes: [],
    });
    const verify = async () => (await verifyModels(repository, { name: 'swapped' }))[0]?.mistakes[0];
    assert.equal((await verify())?.field, 'import.json: model.sha256');
    await writeFile(join(directory, 'import.json'), '{}');
    assert.equal((await verify())?.file, join(directory, 'import.json'));
  });
});
