import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cudaLibraryMissing } from '@glyphmill/inference/cuda-library';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { verifyModels } from '@glyphmill/inference/model-verify';
import { openModels } from '@glyphmill/inference/models';
import { runtime } from '@glyphmill/inference/runtime';
import { createLogger } from '@glyphmill/service/logger';
import { type Check, type DoctorContext, fail, failed, ok, warn } from './doctor-check.ts';

/** Far above what one instance of a default model takes to load, also while other work goes on. */
const startTimeoutMs = 60_000;
/** Device files by which a process sees an NVIDIA GPU; the second is Windows' subsystem for Linux. */
const gpuDevices = ['/dev/nvidiactl', '/dev/dxg'];
const installCuda =
  'Install CUDA 12 and cuDNN 9, and run: ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js';

/** The models of the repository, the runtime, and the providers, each tried with the default models. */
export async function checkInference({ env, dataDir }: DoctorContext): Promise<Check[]> {
  const models = await checkRepository(env.MODEL_REPOSITORY || join(dataDir, 'models'));
  const trial = await mkdtemp(join(tmpdir(), 'glyphmill-doctor-'));
  try {
    const cpu = await checkCpuProvider(trial);
    const cuda = await checkCudaProvider(trial, env.INFERENCE_PROVIDER === 'cuda');
    return [models, ok('runtime', runtime), cpu, cuda];
  } finally {
    await rm(trial, { recursive: true, force: true });
  }
}

/** Runs every model there as `glyphmill models verify` does. */
async function checkRepository(repository: string): Promise<Check> {
  const name = 'models';
  if (!existsSync(repository))
    return ok(name, `${repository} is not there yet: the default models are imported at the first start`);
  try {
    const checks = await verifyModels(repository);
    const mistakes = checks.flatMap((check) => check.mistakes);
    if (mistakes.length > 0)
      return fail(
        name,
        mistakes
          .map(({ file, field, problem, remedy }) => `${file}: ${field}: ${problem}. ${remedy}`)
          .join('; '),
      );
    const found = checks.flatMap((check) =>
      check.versions.map(({ version, sha256 }) => `${check.name}/${version} (${sha256.slice(0, 12)})`),
    );
    if (found.length === 0)
      return ok(name, `${repository} is empty: the default models are imported at the first start`);
    return ok(name, `${repository}: ${found.join(', ')} load and run`);
  } catch (error) {
    return failed(name, error, 'Make it a readable directory of models, or set MODEL_REPOSITORY');
  }
}

async function checkCpuProvider(trial: string): Promise<Check> {
  const name = 'provider cpu';
  try {
    await importDefaultModels(trial);
    const started = performance.now();
    await tryProvider(trial, 'cpu');
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    return ok(name, `the default models load and run (${seconds} s)`);
  } catch (error) {
    return failed(name, error, 'Run npm ci again; onnxruntime-node needs glibc, not musl');
  }
}

async function checkCudaProvider(trial: string, needed: boolean): Promise<Check> {
  const name = 'provider cuda';
  const missing = cudaLibraryMissing();
  if (missing !== undefined) {
    if (needed)
      return fail(
        name,
        `it is required, and ${missing}. ${installCuda}; or settle for the CPU: INFERENCE_PROVIDER=auto, KIND_AUTO`,
      );
    if (gpuDevices.some((file) => existsSync(file)))
      return warn(name, `there is a GPU, but ${missing}. ${installCuda}`);
    return ok(name, `not used: no NVIDIA GPU is seen here, and ${missing}; lines are read on the CPU`);
  }
  try {
    await tryProvider(trial, 'cuda');
    return ok(name, 'the default models load, and their heavy operators were seen to run on the GPU');
  } catch (error) {
    const check = failed(name, error, 'Check nvidia-smi, the driver, CUDA 12 and cuDNN 9 on LD_LIBRARY_PATH');
    // Not required, auto falls back to the CPU and says so.
    return needed ? check : { ...check, status: 'warn' };
  }
}

/** Opens the models as the worker does: one child process each, one thread, every warm-up run. */
async function tryProvider(repository: string, provider: 'cpu' | 'cuda'): Promise<void> {
  const models = await openModels({
    repository,
    provider,
    instances: { detect: 1, recognize: 1 },
    threads: 1,
    limits: { startTimeoutMs, maxFailedStarts: 1 },
    log: createLogger({ service: 'doctor', level: 'silent' }),
  });
  await models.close(0);
}
