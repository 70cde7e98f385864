import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { optionsSchema } from '@glyphmill/contract/request';
import { openEngine } from '@glyphmill/engine/engine';
import { importMissingModels } from '@glyphmill/inference/default-models';
import { openModels } from '@glyphmill/inference/models';
import sharp from 'sharp';
import { z } from 'zod';
import { quietLog } from '../integration/inference-samples.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const tool = join(root, 'tools/convert');
const python = join(process.env.CONVERT_VENV ?? join(root, '.glyphmill/cache/convert'), 'bin/python');
const expectedSchema = z.object({ width: z.number(), height: z.number(), texts: z.array(z.string()) });

/** Why this cannot run here; false where it can. */
function missing(): string | false {
  const remedy = 'run tools/convert/convert.sh once, or name an environment with Paddle by CONVERT_VENV';
  if (!existsSync(python)) return `there is no ${python}: ${remedy}`;
  try {
    execFileSync(python, [join(tool, 'installed.py')], { stdio: 'pipe' });
    return false;
  } catch {
    return `${python} lacks what tools/convert/requirements.txt names: ${remedy}`;
  }
}

interface Case {
  name: string;
  file: string;
  height: number;
  /** 0: the model leaves it open. */
  width: number;
  labels: 'named' | 'inference.yml';
  env: Record<string, string>;
}

const cases: Case[] = [
  { name: 'paddle-3', file: 'inference.json', height: 48, width: 0, labels: 'inference.yml', env: {} },
  {
    name: 'paddle-2',
    file: 'inference.pdmodel',
    // The fixed shape of the Triton recipe.
    height: 64,
    width: 256,
    labels: 'named',
    env: { FLAGS_enable_pir_api: '0' },
  },
];

describe('a Paddle model', { skip: missing() }, () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'glyphmill-convert-'));
  });
  after(() => rm(folder, { recursive: true }));

  /** `inference` is made by Paddle; what it reads on its pictures is beside it. */
  const make = async ({ name, height, width, env }: Case) => {
    const script = join(root, 'test/convert/make_models.py');
    const args = [script, folder, name, String(height), String(width)];
    await run(python, args, { env: { ...process.env, ...env } });
    return join(folder, name);
  };

  const read = async (repository: string, model: string) => {
    const expected = expectedSchema.parse(JSON.parse(await readFile(join(model, 'expected.json'), 'utf8')));
    const { width, height } = expected;
    const pixels = await readFile(join(model, 'pictures.raw'));
    const size = width * height * 3;
    const pictures = await Promise.all(
      expected.texts.map((_, i) => {
        const raw = pixels.subarray(i * size, (i + 1) * size);
        return sharp(raw, { raw: { width, height, channels: 3 } })
          .png()
          .toBuffer();
      }),
    );
    const models = await openModels({ repository, provider: 'cpu', instances: {}, log: quietLog() });
    const limits = { decoders: 1, decodeDeadlineMs: 20_000, maxPagePixels: 1e7, maxPages: 1 };
    const engine = openEngine({ models, ...limits });
    try {
      const signal = new AbortController().signal;
      const request = { mode: 'line', options: optionsSchema.parse({}), signal } as const;
      const documents = await Promise.all(pictures.map((picture) => engine.scan(picture, request)));
      const results = await Promise.all(documents.map((document) => document.result(null)));
      return { texts: results.map(({ text }) => text), expected: expected.texts };
    } finally {
      engine.close();
      await models.close();
    }
  };

  for (const one of cases)
    it(`of ${one.file} is read by the worker's engine as Paddle reads it`, async () => {
      const model = await make(one);
      assert.ok(existsSync(join(model, one.file)));
      const repository = join(folder, `repository-${one.name}`);
      const args = [model, '--name', one.name, '--repository', repository];
      if (one.labels === 'named') args.push('--labels', join(model, 'keys.txt'));
      const { stdout, stderr } = await run(join(tool, 'convert.sh'), args);
      assert.match(stderr, /ONNX opset 13\b/);
      assert.match(stderr, /4 of 4 texts equal/);
      assert.match(stdout, new RegExp(`^${one.name} version 1 is in `));

      await importMissingModels(repository);
      const { texts, expected } = await read(repository, model);
      assert.ok(expected.every((text) => text.length > 5) && new Set(expected).size === expected.length);
      assert.deepEqual(texts, expected);
    });

  it('is not converted for an output that it does not have', async () => {
    const model = await make({ ...(cases[0] ?? assert.fail()), name: 'other-output' });
    const args = [model, '--name', 'x', '--repository', join(folder, 'none'), '--output', 'softmax_12.tmp_0'];
    await assert.rejects(run(join(tool, 'convert.sh'), args), (error) => {
      assert.match(String(error), /there is no output softmax_12\.tmp_0; --output expects one of \S+/);
      return true;
    });
    assert.equal(existsSync(join(folder, 'none')), false);
  });
});
