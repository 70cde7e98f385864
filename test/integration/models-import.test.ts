import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readImportNote } from '@glyphmill/inference/import-note';
import { defaultModelAssets } from '@glyphmill/inference/model-assets';
import { type ImportOptions, importModel } from '@glyphmill/inference/model-import';
import { openModels } from '@glyphmill/inference/models';
import { writeTinyModel } from './inference-onnx.ts';
import { barLine, recipeClasses, recipeOnnx, writeRecipeModel } from './inference-recipe.ts';
import { newRepository, quietLog } from './inference-samples.ts';

const keys = join(defaultModelAssets(), 'ppocr_keys_v1.txt');

describe('importing a model', () => {
  let repository = '';
  let file = '';

  before(async () => {
    repository = await newRepository();
    file = join(repository, 'recipe.onnx');
    await writeFile(file, recipeOnnx());
    await writeTinyModel(repository, { name: 'tiny', kind: 'plain' });
  });

  after(() => rm(repository, { recursive: true }));

  const run = (options: Partial<ImportOptions> & { name: string }) =>
    importModel({
      repository,
      file,
      labels: keys,
      role: undefined,
      output: undefined,
      version: undefined,
      maxBatchSize: undefined,
      height: undefined,
      widthLadder: undefined,
      ...options,
    });
  const tiny = () => ({
    file: join(repository, 'tiny/1/model.onnx'),
    labels: join(repository, 'tiny/labels.txt'),
  });
  const read = async (name: string) => {
    const models = await openModels({
      repository,
      names: { recognize: name },
      provider: 'cpu',
      log: quietLog(),
    });
    try {
      const lines = [barLine(1), barLine(2), barLine(5), barLine(0), barLine(3)];
      const found = await Promise.all(lines.map((line) => models.recognize(line)));
      const instances = models.states().filter(({ model }) => model === name).length;
      return { lineSize: models.lineSize, instances, readings: found.map(({ reading }) => reading) };
    } finally {
      await models.close();
    }
  };

  it('takes the shape of the Triton recipe, with its config as it stands, and reads the same once imported', async () => {
    await writeRecipeModel(repository, 'recipe');
    const asItStands = await read('recipe');
    assert.deepEqual(asItStands.lineSize, { height: 64, minWidth: 256, maxWidth: 256 });
    assert.equal(asItStands.instances, 2);
    assert.deepEqual(
      asItStands.readings.map(({ text }) => text),
      ['A', 'AA', 'AAAAA', '', 'AAA'],
    );

    const { config, note, version } = await run({ name: 'imported' });
    assert.equal(version, 1);
    assert.equal(config.maxBatchSize, 8);
    assert.deepEqual(config.input, { name: 'x', dims: [3, 64, 256] });
    assert.deepEqual(config.indices, { name: 'indices', dims: [40] });
    assert.ok(config.settings.role === 'recognize' && config.settings.classes === recipeClasses);
    assert.deepEqual(note.changes.at(-1), { rule: 'argmax-in-graph', count: 1 });
    assert.ok(note.compared && note.compared.runs > 2 && note.compared.outputs > 400);
    assert.ok(note.compared.largest < 1e-5);
    assert.deepEqual(await readImportNote(join(repository, 'imported/1')), note);
    const imported = await read('imported');
    assert.deepEqual(imported.readings, asItStands.readings);
  });

  it('gives a model that is there its next version, read with its config and its dictionary', async () => {
    await run({ name: 'twice' });
    const config = await readFile(join(repository, 'twice/config.pbtxt'), 'utf8');
    const { version } = await run({ name: 'twice', labels: undefined });
    assert.equal(version, 2);
    assert.deepEqual((await readdir(join(repository, 'twice/2'))).sort(), ['import.json', 'model.onnx']);
    assert.equal(await readFile(join(repository, 'twice/config.pbtxt'), 'utf8'), config);
    await run({ name: 'recipe-too', version: 7 });
    assert.ok((await readdir(join(repository, 'recipe-too'))).includes('7'));
  });

  it('gives a new recogniser of 6625 classes the known dictionary where none is named', async () => {
    const { config } = await run({ name: 'unnamed', labels: undefined });
    assert.equal(config.output.labelFilename, 'ppocr_keys_v1.txt');
    assert.equal(
      await readFile(join(repository, 'unnamed/ppocr_keys_v1.txt'), 'utf8'),
      await readFile(keys, 'utf8'),
    );
  });

  it('makes of the files of the default models what these are', async () => {
    for (const [name, from, labels] of [
      ['ppocrv4-det', 'ch_PP-OCRv4_det_infer.onnx', undefined],
      ['ppocrv4-rec', 'ch_PP-OCRv4_rec_infer.onnx', keys],
    ] as const) {
      const { note } = await run({ name: `again-${name}`, file: join(defaultModelAssets(), from), labels });
      const known = await readImportNote(join(repository, name, '1'));
      assert.equal(note.source.sha256, known?.source.sha256);
      assert.equal(note.model.sha256, known?.model.sha256);
      assert.deepEqual(note.changes, known?.changes);
      const { noiseFloor, ...distance } = note.compared ?? assert.fail();
      assert.ok(distance.largest <= Math.max(1e-5, 10 * noiseFloor.largest), `${distance.largest}`);
      assert.ok(noiseFloor.largest > 0 && noiseFloor.in999Of1000 <= noiseFloor.largest);
    }
  });

  it('overwrites no version', async () => {
    await run({ name: 'kept' });
    const before = await readFile(join(repository, 'kept/1/import.json'), 'utf8');
    await assert.rejects(run({ name: 'kept', version: 1 }), {
      name: 'ModelConfigError',
      field: 'version',
      remedy: /another version, such as 2/,
    });
    const both = await Promise.allSettled([
      run({ name: 'raced', version: 1 }),
      run({ name: 'raced', version: 1 }),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.equal(await readFile(join(repository, 'kept/1/import.json'), 'utf8'), before);
  });

  it('leaves every score in the graph where they are no softmax, and says so', async () => {
    const { config, note } = await run({ name: 'scores', ...tiny(), widthLadder: [32, 64], maxBatchSize: 4 });
    assert.equal(config.indices, undefined);
    assert.deepEqual(config.output.dims, [-1, 4]);
    assert.match(
      note.notes?.join() ?? '',
      /scores of all classes leave the graph: expected output "y" to be a Softmax/,
    );
    assert.deepEqual(config.settings.role === 'recognize' && config.settings.widthLadder, [32, 64]);
  });

  it('leaves the graph as it is where another would not give the same, and says so', async () => {
    const random = join(repository, 'random.onnx');
    await writeFile(random, recipeOnnx({ isRandom: true }));
    const { config, note } = await run({ name: 'random', file: random });
    assert.deepEqual(note.changes, []);
    assert.equal(note.compared, undefined);
    assert.match(note.notes?.join() ?? '', /the graph was left as it is: its outputs would differ by \d/);
    assert.equal(note.model.sha256, note.source.sha256);
    assert.deepEqual(config.output.dims, [40, recipeClasses]);
    assert.equal(config.indices, undefined);
  });

  it('refuses what does not fit, in the words of the files given, and leaves nothing behind', async () => {
    const short = join(repository, 'short.txt');
    await writeFile(short, (await readFile(keys, 'utf8')).replace(/^.*\n/, ''));
    const other = join(repository, 'other.onnx');
    await writeFile(other, 'no model');
    await writeTinyModel(repository, { name: 'fixed', kind: 'plain', batch: 1, maxBatchSize: 1 });
    const fixed = join(repository, 'fixed/1/model.onnx');
    const here = (await readdir(repository)).sort();
    const refusals: [
      Partial<ImportOptions>,
      { field: string; file?: string; problem?: RegExp; remedy?: RegExp },
    ][] = [
      [{ labels: short }, { field: 'output.label_filename', file: short, problem: /6623 lines.*got 6622/ }],
      [
        { ...tiny(), labels: undefined },
        { field: 'labels', problem: /6625 classes only/, remedy: /--labels/ },
      ],
      [{ labels: join(repository, 'none.txt') }, { field: 'labels', problem: /missing/ }],
      [{ file: join(repository, 'none.onnx') }, { field: 'file', problem: /no such file/ }],
      [{ file: other }, { field: 'file', problem: /expected an ONNX model/, file: other }],
      [{ role: 'detect' }, { field: 'role', remedy: /--role recognize/ }],
      [{ height: 48 }, { field: 'input', problem: /height is fixed at 64, not 48/ }],
      [{ widthLadder: [320] }, { field: 'input', problem: /width is fixed at 256/ }],
      [{ output: 'none' }, { field: 'output', problem: /softmax_12\.tmp_0 float32/ }],
      [
        { file: fixed, maxBatchSize: 8 },
        { field: 'input', problem: /fixed at 1/, remedy: /--max-batch-size 1/ },
      ],
      [{ name: '../up' }, { field: 'name' }],
      [{ name: 'tiny', labels: undefined }, { field: 'input' }],
    ];
    for (const [options, refusal] of refusals)
      await assert.rejects(run({ name: 'refused', ...options }), { name: 'ModelConfigError', ...refusal });
    assert.deepEqual((await readdir(repository)).sort(), here);
  });

  it('refuses a model that gives no numbers', async () => {
    const { file: from, labels } = tiny();
    const bytes = await readFile(from);
    const at = bytes.indexOf(Buffer.from(Float32Array.of(0.1, 0.5, 0.2, 0.3).buffer));
    bytes.set(new Uint8Array(new Float32Array(4).fill(Number.NaN).buffer), at);
    const broken = join(repository, 'broken.onnx');
    await writeFile(broken, bytes);
    const importing = run({ name: 'broken', file: broken, labels, widthLadder: [32] });
    await assert.rejects(importing, { field: 'output', file: broken, problem: /NaN/ });
    assert.ok(!(await readdir(repository)).includes('broken'));
  });
});
