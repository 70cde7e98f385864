import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { z } from 'zod';
import { useWhile } from '../bench/gpu-busy.ts';
import { repositoryRoot } from './system.ts';

const folder = mkdtempSync(join(tmpdir(), 'glyphmill-gpu-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const withoutCuda = { skip: cudaLibraryMissing() === undefined };

function run(command: string, args: string[], env: Record<string, string> = {}) {
  const options = { cwd: repositoryRoot, env: { ...process.env, ...env }, timeout: 300_000 };
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

const gpuTs = ['--import', 'tsx', 'test/bench/gpu.ts'];

test('without a GPU gpu.sh refuses with one sentence that says what is missing', withoutCuda, async () => {
  const { code, stdout, stderr } = await run('test/bench/gpu.sh', [], { NODE: process.execPath });
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^gpu\.sh: no NVIDIA GPU is seen here .*--provider cpu.*\n$/);
});

test('gpu.sh refuses a folder without the CUDA provider, and a node that is not there', async () => {
  const noLibrary = await run('test/bench/gpu.sh', [], { NODE: process.execPath, ORT_CUDA_LIB: folder });
  assert.equal(noLibrary.code, 1);
  assert.match(noLibrary.stderr, /^gpu\.sh: ORT_CUDA_LIB has no libonnxruntime_providers_cuda\.so .*\n$/);
  const noNode = await run('test/bench/gpu.sh', [], { NODE: join(folder, 'node') });
  assert.equal(noNode.code, 1);
  assert.match(noNode.stderr, /^gpu\.sh: there is no node at .*NODE\.\n$/);
});

test('without the CUDA provider gpu.ts refuses instead of timing the CPU', withoutCuda, async () => {
  const { code, stdout, stderr } = await run(process.execPath, gpuTs);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^gpu\.ts: the CUDA provider library is not installed .*ORT_CUDA_LIB.*\n$/);
});

test('the bench compares readings with the CPU, prints its table and writes it as JSON', async () => {
  const out = join(folder, 'results', 'gpu.json');
  const args = ['--provider', 'cpu', '--sizes', '1,2', '--instances', '1', '--seconds', '1', '--out', out];
  const { code, stdout, stderr } = await run(process.execPath, [...gpuTs, ...args]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^correct: \d\d+ lines, 0 texts differ/m);
  assert.equal(stdout.match(/^\| [12] \| 1 \| [\d.]+ \| [\d.]+ \| [\d.]+ \|/gm)?.length, 2, stdout);
  const row = z.object({
    batch: z.int(),
    instances: z.literal(1),
    linesPerSecond: z.number().positive(),
    bareLinesPerSecond: z.number().positive(),
    ratio: z.number().positive(),
  });
  const { rows, correctness } = z
    .object({ rows: z.array(row), correctness: z.object({ passed: z.literal(true) }) })
    .parse(JSON.parse(readFileSync(out, 'utf8')));
  assert.deepEqual(
    rows.map(({ batch }) => batch),
    [1, 2],
  );
  assert.ok(correctness.passed);
});

test('GPU use counts only the samples taken while something was measured', () => {
  const sample = (atMs: number, busyPercent: number) => ({ atMs, busyPercent, memoryMib: busyPercent * 10 });
  const samples = [sample(0, 1), sample(10, 80), sample(20, 100), sample(30, 2)];
  assert.deepEqual(useWhile(samples, { startMs: 5, endMs: 25 }), { busyPercent: 90, mostMemoryMib: 1000 });
  assert.equal(useWhile(samples, { startMs: 40, endMs: 50 }), undefined);
});
