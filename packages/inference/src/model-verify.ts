import { dirname, join } from 'node:path';
import { cudaLibraryMissing } from './cuda-library.ts';
import { type Comparison, type ImportNote, readImportNote } from './import-note.ts';
import { InstanceChild } from './instance-child.ts';
import type { ImageBytes, ReadyMessage } from './instance-messages.ts';
import { defaultLimits } from './limits.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { ModelError } from './model-error.ts';
import { compareWithOriginal } from './model-original.ts';
import { planModel } from './model-plan.ts';
import { type ModelVersion, modelNames, readModelConfig, readVersions } from './repository.ts';

/** One thing to put right, in the words of `ModelConfigError`. */
export interface Mistake {
  file: string;
  field: string;
  problem: string;
  remedy: string;
}

export interface VersionCheck {
  version: number;
  sha256: string;
  provider: 'cpu' | 'cuda';
  /** Why an automatic group did not take CUDA. */
  providerReason: string | undefined;
  /** With the file that it was made from: anew where that was asked for and can be, else as it was at its import. */
  compared: Comparison | undefined;
}

export interface ModelCheck {
  name: string;
  /** Those that ran. */
  versions: VersionCheck[];
  mistakes: Mistake[];
}

export interface VerifyOptions {
  /** One model; default: all. */
  name?: string | undefined;
  /** Also compares outputs with those of the original, where it is at hand: some seconds a version. */
  compares?: boolean;
}

/**
 * Checks models of a repository without stopping at the first mistake: their configs, their files and the digests of
 * these, and with a run in an instance graphs, dictionaries and weights. Versions that the version policy leaves out
 * are run too.
 */
export async function verifyModels(repository: string, options: VerifyOptions = {}): Promise<ModelCheck[]> {
  const checks: ModelCheck[] = [];
  for (const name of options.name === undefined ? await modelNames(repository) : [options.name])
    checks.push(await verifyModel(repository, name, options));
  return checks;
}

async function verifyModel(repository: string, name: string, options: VerifyOptions): Promise<ModelCheck> {
  const check: ModelCheck = { name, versions: [], mistakes: [] };
  try {
    const config = await readModelConfig(repository, name);
    await readVersions(repository, config);
    for (const version of await readVersions(repository, { ...config, versionPolicy: { kind: 'all' } }))
      await verifyVersion(version, check, options);
  } catch (error) {
    check.mistakes.push(toMistake(error, join(repository, name)));
  }
  return check;
}

async function verifyVersion(
  version: ModelVersion,
  check: ModelCheck,
  { compares = false }: VerifyOptions,
): Promise<void> {
  try {
    const note = await readImportNote(dirname(version.modelPath));
    assertUnchanged(version, note);
    const { provider, providerReason } = await tryVersion(version);
    const anew = compares && note ? await compareWithOriginal(version, note) : undefined;
    const { version: number, sha256 } = version;
    const compared = anew ?? note?.compared;
    check.versions.push({ version: number, sha256, provider, providerReason, compared });
  } catch (error) {
    check.mistakes.push(toMistake(error, version.modelPath));
  }
}

function assertUnchanged({ modelPath, sha256 }: ModelVersion, note: ImportNote | undefined): void {
  if (note === undefined || note.model.sha256 === sha256) return;
  throw new ModelConfigError({
    file: modelPath,
    field: 'import.json: model.sha256',
    problem: `the file is not the one imported: expected ${note.model.sha256}, found ${sha256}`,
    remedy: 'Import the model again, or remove import.json where the file was changed on purpose',
  });
}

/**
 * Loads a version in an instance of its own and runs it: a full micro-batch of the smallest items, and one of the
 * widest. Throws `ModelConfigError` for whatever is wrong, a crash of the runtime included.
 */
export async function tryVersion(version: ModelVersion): Promise<ReadyMessage> {
  const missing = version.config.instanceGroup.kind === 'gpu' ? cudaLibraryMissing() : undefined;
  if (missing !== undefined) throw withoutCuda(version, missing);
  const { open } = await planModel(version, {
    provider: 'auto',
    instances: 1,
    threads: undefined,
    budget: version.config.session.intraThreads,
  });
  const child = new InstanceChild(() => {});
  try {
    const ready = await child.open(open, defaultLimits.startTimeoutMs);
    for (const { items, width } of dummyBatches(version.config))
      await child.run(items, width, defaultLimits.runTimeoutMs);
    return ready;
  } catch (error) {
    throw explain(error, version);
  } finally {
    await child.kill();
  }
}

function dummyBatches(config: ModelConfig): { items: ImageBytes[]; width: number }[] {
  const { settings, input, maxBatchSize } = config;
  const count = Math.max(1, maxBatchSize);
  if (settings.role === 'detect') {
    const [height = -1, width = -1] = input.dims.slice(-2);
    const page = noise(width > 0 ? width : 64, height > 0 ? height : 64);
    return [{ items: Array.from({ length: count }, () => page), width: page.width }];
  }
  const [narrowest = 64] = settings.widthLadder;
  const widest = settings.widthLadder.at(-1) ?? narrowest;
  const line = noise(narrowest, settings.height);
  return [
    { items: Array.from({ length: count }, () => line), width: narrowest },
    { items: [noise(widest, settings.height)], width: widest },
  ];
}

/** The same pixels every time, dark and light. */
function noise(width: number, height: number): ImageBytes {
  const data = Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => 127 + 127 * Math.sin(i * 12.9898 + i * i),
  );
  return { width, height, data };
}

function withoutCuda({ configPath }: ModelVersion, reason: string): ModelConfigError {
  return new ModelConfigError({
    file: configPath,
    field: 'instance_group.kind',
    problem: `KIND_GPU asks for CUDA, which does not work here: ${reason}`,
    remedy: 'Install CUDA 12 and its ONNX Runtime libraries, or set KIND_CPU',
  });
}

function explain(error: unknown, version: ModelVersion): ModelConfigError {
  if (error instanceof ModelConfigError) return error;
  const reason = error instanceof Error ? oneLine(error.message) : String(error);
  if (!(error instanceof ModelError))
    return unusable(version, `its run ended the process: ${reason}`, 'Export the model again', error);
  if (error.code === 'provider-unavailable') return withoutCuda(version, reason);
  if (error.code === 'start-failed')
    return unusable(version, reason, 'Copy the file again, or export the model again', error);
  const at = {
    file: version.modelPath,
    field: 'output',
    problem: `a run on noise gave no scores: ${reason}`,
  };
  return new ModelConfigError(
    { ...at, remedy: 'Export the model again: weights or output are broken' },
    { cause: error },
  );
}

function unusable({ modelPath }: ModelVersion, problem: string, remedy: string, cause: unknown) {
  return new ModelConfigError(
    { file: modelPath, field: 'default_model_filename', problem, remedy },
    { cause },
  );
}

/** Of anything thrown while a model was looked at; `file` is where it was. */
function toMistake(error: unknown, file: string): Mistake {
  if (error instanceof ModelConfigError) {
    const { file, field, problem, remedy } = error;
    return { file, field, problem: oneLine(problem), remedy: oneLine(remedy) };
  }
  const problem = oneLine(error instanceof Error ? error.message : String(error));
  return { file, field: 'model', problem, remedy: 'Make the files readable' };
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().replace(/\.$/, '');
}
