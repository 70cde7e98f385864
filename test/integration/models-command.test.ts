import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeTinyModel } from './inference-onnx.ts';
import { writeRecipeModel } from './inference-recipe.ts';

let repository = '';

before(async () => {
  repository = await mkdtemp(join(tmpdir(), 'glyphmill-models-command-'));
  await writeTinyModel(repository, { name: 'tiny', kind: 'plain' });
});
after(() => rm(repository, { recursive: true }));

function models(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = fileURLToPath(new URL('../../apps/cli/bin/glyphmill.js', import.meta.url));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [command, 'models', ...args],
      { timeout: 120_000 },
      (error, stdout, stderr) => {
        resolve({
          code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
          stdout,
          stderr,
        });
      },
    );
  });
}

test('models list names each model, faulty ones too', async () => {
  await writeTinyModel(repository, { name: 'faulty', kind: 'plain', extra: 'bogus: 1' });
  const { code, stdout } = await models('list', '--repository', repository);
  assert.equal(code, 0);
  assert.match(stdout, /^tiny +recognize +1\* +auto +4 +[0-9a-f]{12}$/m);
  assert.match(stdout, /faulty\/config\.pbtxt: bogus: /);
  const json = JSON.parse((await models('list', '--json', '--repository', repository)).stdout);
  assert.deepEqual(
    json.models.map(({ name, served }: { name: string; served: number[] }) => [name, served]),
    [
      ['faulty', []],
      ['tiny', [1]],
    ],
  );
});

test('models verify says each mistake in one line, and ends with 1', async () => {
  const { code, stdout, stderr } = await models('verify', '--repository', repository);
  assert.equal(code, 1);
  const [mistake, sound, ...others] = stdout.trim().split('\n');
  assert.match(mistake ?? '', /faulty\/config\.pbtxt: bogus: .*there is no such field.*Check the spelling/);
  assert.match(sound ?? '', /^tiny version 1: in order/);
  assert.deepEqual(others, []);
  assert.match(stderr, /1 mistakes in 1 of 2 models/);
  const one = await models('verify', 'tiny', '--json', '--repository', repository);
  assert.equal(one.code, 0);
  assert.deepEqual(JSON.parse(one.stdout).models[0].mistakes, []);
});

test('models show says what a config means and what the graph has', async () => {
  const { code, stdout } = await models('show', 'tiny', '--repository', repository);
  assert.equal(code, 0);
  assert.match(stdout, /^tiny: reads lines$/m);
  assert.match(stdout, /micro-batches of at most 4; an item waits 20000 µs at most/);
  assert.match(stdout, /inputs x float32 \[n, 3, 8, w\]; outputs y float32 \[n, w, 4\]/);
  assert.match(stdout, /put here by hand/);
  assert.match(stdout, /decoding ctc: repeats collapsed, spaces restored/);
  assert.doesNotMatch(stdout, /told from|known by/);
  const { graphs } = JSON.parse((await models('show', 'tiny', '--json', '--repository', repository)).stdout);
  assert.equal(graphs[0].imported, null);
});

test('models show says what the config of a Triton recipe leaves open and what was made of it', async () => {
  await writeRecipeModel(repository, 'recipe');
  const { code, stdout, stderr } = await models('show', 'recipe', '--repository', repository);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^recipe: reads lines \(told from its outputs: config\.pbtxt has no parameter role\)$/m,
  );
  assert.match(stdout, /dictionary ppocr_keys_v1\.txt, known by the 6625 classes: .*no label_filename/);
  assert.match(stdout, /lines resized to 256 × 64 pixels; BGR, \(pixel ÷ 255 − 0\.5\) ÷ 0\.5/);
  const { inferred } = JSON.parse(
    (await models('show', 'recipe', '--json', '--repository', repository)).stdout,
  ).config;
  assert.deepEqual(inferred, { role: true, labels: true });
});

test('models import puts a file in, as a version that may be named, and never over another', async () => {
  const file = join(repository, 'some.onnx');
  await writeFile(file, await readFile(join(repository, 'tiny/1/model.onnx')));
  const args = ['import', file, '--labels', join(repository, 'tiny/labels.txt'), '--width-ladder', '32,64'];
  const version = ['--version', '3', '--repository', repository];
  const first = await models(...args, ...version, '--json');
  assert.equal(first.code, 0, first.stderr);
  const imported = JSON.parse(first.stdout);
  assert.equal(imported.name, 'some');
  assert.equal(imported.version, 3);
  const again = await models(...args, ...version);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /some\/3 is there already.*such as 4/);
  const shown = await models('show', 'some', '--repository', repository);
  assert.match(shown.stdout, /imported from some\.onnx, sha256 [0-9a-f]{64}/);
  assert.match(shown.stdout, /scores of all classes leave the graph/);
});

test('models import, show and verify say how far the outputs of a changed graph are from the original’s', async () => {
  await writeRecipeModel(repository, 'recipe');
  const file = join(repository, 'recipe/1/model.onnx');
  const compared = /outputs on noise and strokes differ from the original's by .*; rounding alone moves/;
  const place = ['--repository', repository];
  assert.match((await models('import', file, '--name', 'imported', ...place)).stdout, compared);
  assert.match((await models('show', 'imported', ...place)).stdout, compared);
  const { stdout } = await models('verify', 'imported', ...place);
  assert.match(stdout, /^imported version 1: in order, ran on \w+; /);
  assert.match(stdout, compared);
});

test('models without a repository, a model or a file end with 2 and say what to do', async () => {
  const none = await models('list', '--repository', join(repository, 'none'));
  assert.equal(none.code, 2);
  assert.match(none.stderr, /models import --defaults makes one/);
  const unknown = await models('show', 'other', '--repository', repository);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /found: .*tiny/);
  assert.equal((await models('import', '--repository', repository)).code, 2);
});
