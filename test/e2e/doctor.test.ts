import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRedis } from '@glyphmill/embedded/redis';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { checkInference } from 'glyphmill-cli/doctor-models';
import { checkServices } from 'glyphmill-cli/doctor-services';
import { z } from 'zod';
import { repositoryRoot } from './system.ts';

const folder = mkdtempSync(join(tmpdir(), 'glyphmill-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const cacheDir = join(repositoryRoot, '.glyphmill/cache');
const unset = {
  REDIS_URL: '',
  S3_ENDPOINT: '',
  S3_ACCESS_KEY_ID: '',
  AWS_ACCESS_KEY_ID: '',
  AWS_PROFILE: '',
  AWS_ROLE_ARN: '',
  MODEL_REPOSITORY: '',
  INFERENCE_PROVIDER: '',
};

function doctor(args: string[], env: Record<string, string>) {
  const command = join(repositoryRoot, 'apps/cli/bin/glyphmill.js');
  const options = { env: { ...process.env, ...unset, ...env }, timeout: 120_000 };
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [command, 'doctor', ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

const reportSchema = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({ name: z.string(), status: z.enum(['ok', 'warn', 'fail']), message: z.string().min(1) }),
  ),
});

test('on a machine where everything works doctor ends with 0 and leaves nothing behind', async () => {
  const dataDir = join(folder, 'nothing-yet');
  const { code, stdout, stderr } = await doctor(['--json', '--data-dir', dataDir], {});
  assert.equal(code, 0, stdout + stderr);
  const { ok, checks } = reportSchema.parse(JSON.parse(stdout));
  assert.equal(ok, true);
  assert.deepEqual(
    checks.map(({ name }) => name),
    [
      'node',
      'platform',
      'limits',
      'cpu',
      'disk',
      'ports',
      'models',
      'runtime',
      'provider cpu',
      'provider cuda',
      'redis',
      's3',
    ],
  );
  assert.ok(!existsSync(dataDir));
});

test('a REDIS_URL that nothing answers ends doctor with 1 and says what to do, one line per check', async () => {
  const env = { REDIS_URL: 'redis://127.0.0.1:1' };
  const { code, stdout, stderr } = await doctor(['--data-dir', folder], env);
  assert.equal(code, 1);
  assert.match(stderr, /^glyphmill: 1 of 12 checks failed: redis$/m);
  assert.match(stdout, /^fail {2}redis .*ECONNREFUSED.*check REDIS_URL.*unset REDIS_URL/m);
  assert.equal(stdout.trimEnd().split('\n').length, 12);
});

describe('doctor looks at Redis', () => {
  const redisCheck = async (extraArgs: string[]) => {
    const redis = await startRedis({ dir: mkdtempSync(join(folder, 'redis-')), cacheDir, extraArgs });
    try {
      const [check] = await checkServices({ env: { ...unset, REDIS_URL: redis.url }, dataDir: folder });
      return check;
    } finally {
      await redis.stop();
    }
  };

  test('and takes one that keeps what it accepts', async () => {
    const check = await redisCheck(['--maxmemory', '64mb']);
    assert.equal(check?.status, 'ok');
    assert.match(check.message, /^(redis|valkey) \d+\.\d+\.\d+ .*noeviction/);
  });

  test('and fails one that may evict jobs, naming its policy', async () => {
    const check = await redisCheck(['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru']);
    assert.equal(check?.status, 'fail');
    assert.match(check.message, /"allkeys-lru".*set maxmemory-policy noeviction/);
  });

  test('and warns of one without an append-only file or a bound on its memory', async () => {
    const check = await redisCheck(['--appendonly', 'no']);
    assert.equal(check?.status, 'warn');
    assert.match(check.message, /set appendonly yes.*set maxmemory/);
  });

  test('and without REDIS_URL says which server would be started, else how to get one', async () => {
    const empty = { env: { ...unset, PATH: folder }, dataDir: folder };
    const [none] = await checkServices(empty);
    assert.equal(none?.status, 'fail');
    assert.match(none.message, /Install redis or valkey, or set REDIS_URL/);
    writeFileSync(join(folder, 'valkey-server'), '', { mode: 0o755 });
    const [found] = await checkServices(empty);
    assert.equal(found?.status, 'ok');
    assert.ok(found.message.includes(join(folder, 'valkey-server')));
  });
});

test('doctor says whether the S3 store lets us use the system bucket', async () => {
  const keys = { accessKeyId: 'doctor', secretAccessKey: 'doctor-secret' };
  const server = await startS3({ dir: join(folder, 's3'), port: 0, ...keys });
  const env = {
    ...unset,
    S3_ENDPOINT: server.endpoint,
    S3_FORCE_PATH_STYLE: 'true',
    S3_ACCESS_KEY_ID: keys.accessKeyId,
    S3_SECRET_ACCESS_KEY: keys.secretAccessKey,
  };
  const s3Check = async (changes: Record<string, string>) => {
    const checks = await checkServices({ env: { ...env, ...changes }, dataDir: folder });
    return checks.find(({ name }) => name === 's3');
  };
  try {
    const missing = await s3Check({});
    assert.equal(missing?.status, 'warn');
    assert.match(missing.message, /no bucket "glyphmill"/);
    const store = openObjectStore({
      endpoint: server.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      ...keys,
    });
    await store.ensureBucket('glyphmill');
    store.close();
    assert.equal((await s3Check({}))?.status, 'ok');
    const refused = await s3Check({ S3_SECRET_ACCESS_KEY: 'wrong' });
    assert.equal(refused?.status, 'fail');
    assert.match(refused.message, /does not let us use the bucket.*Check S3_ENDPOINT/);
    const wrong = await s3Check({ S3_FORCE_PATH_STYLE: 'perhaps' });
    assert.equal(wrong?.status, 'fail');
    assert.match(wrong.message, /S3_FORCE_PATH_STYLE is "perhaps"/);
  } finally {
    await server.close();
  }
});

describe('doctor looks at the models', () => {
  const repository = join(folder, 'models');
  const inferenceCheck = async (name: string, changes: Record<string, string> = {}) => {
    const checks = await checkInference({ env: { ...unset, ...changes }, dataDir: folder });
    return checks.find((check) => check.name === name);
  };

  before(() => importDefaultModels(repository));

  test('and names each with its version and digest', async () => {
    const check = await inferenceCheck('models');
    assert.equal(check?.status, 'ok');
    assert.match(
      check.message,
      /ppocrv4-det\/1 \([0-9a-f]{12}\), ppocrv4-rec\/1 \([0-9a-f]{12}\) load and run/,
    );
  });

  test('and fails closed where CUDA is required and absent, with the reason and the remedy', {
    skip: cudaLibraryMissing() === undefined,
  }, async () => {
    const check = await inferenceCheck('provider cuda', { INFERENCE_PROVIDER: 'cuda' });
    assert.equal(check?.status, 'fail');
    assert.match(check.message, /CUDA provider library is not installed.*ONNXRUNTIME_NODE_INSTALL=cuda12/);
  });

  test('and fails a model file that is not the one imported, and a config with a mistake', async () => {
    appendFileSync(join(repository, 'ppocrv4-det/1/model.onnx'), 'x');
    const changed = await inferenceCheck('models');
    assert.equal(changed?.status, 'fail');
    assert.match(changed.message, /ppocrv4-det\/1\/model\.onnx.*the file is not the one imported/);
    appendFileSync(
      join(repository, 'ppocrv4-rec/config.pbtxt'),
      'version_policy { specific { versions: 7 } }',
    );
    const mistaken = await inferenceCheck('models');
    assert.equal(mistaken?.status, 'fail');
    assert.match(mistaken.message, /ppocrv4-rec\/config\.pbtxt.*version_policy.*there is no version 7/);
  });
});
