import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { knownDictionaryPath } from './model-assets.ts';
import { type ModelConfig, parseModelConfig, type VersionPolicy } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';

/** One version of one model on disk, ready to be run. */
export interface ModelVersion {
  config: ModelConfig;
  version: number;
  /** The config.pbtxt it was read from, for error messages. */
  configPath: string;
  modelPath: string;
  labelPath: string | undefined;
  /** Hex, of the model file. */
  sha256: string;
}

/** Far above what a config or a dictionary needs; a larger file is a mistake. */
const maxTextBytes = 4 * 1024 * 1024;

/**
 * The models of a Triton model repository (`<repository>/<model>/config.pbtxt`, `<version>/model.onnx`), by name.
 * Throws `ModelConfigError` for a missing or faulty config; files beside the models' directories are left alone.
 */
export async function readRepository(repository: string): Promise<Map<string, ModelConfig>> {
  const models = new Map<string, ModelConfig>();
  for (const name of await modelNames(repository)) models.set(name, await readModelConfig(repository, name));
  return models;
}

/** The models' directories, whatever is in them, by name. */
export async function modelNames(repository: string): Promise<string[]> {
  const entries = await readdir(repository, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort((a, b) => a.localeCompare(b));
}

/** The config of one model. Throws `ModelConfigError`. */
export async function readModelConfig(repository: string, name: string): Promise<ModelConfig> {
  const file = join(repository, name, 'config.pbtxt');
  const config = parseModelConfig(await readText(file, 'config.pbtxt'), file);
  if (config.name === name) return config;
  throw new ModelConfigError({
    file,
    field: 'name',
    problem: `"${config.name}" is not the directory's name`,
    remedy: `Set name: "${name}", or rename the directory`,
  });
}

/** The versions of a model that its version policy serves, newest first, digests taken. Throws `ModelConfigError`. */
export async function readVersions(repository: string, config: ModelConfig): Promise<ModelVersion[]> {
  const directory = join(repository, config.name);
  const configPath = join(directory, 'config.pbtxt');
  const present = await presentVersions(directory);
  const served = servedVersions(present, config.versionPolicy);
  if (typeof served === 'number' || served.length === 0)
    throw new ModelConfigError({
      file: configPath,
      field: 'version_policy',
      problem: typeof served === 'number' ? `there is no version ${served}` : 'there is no version directory',
      remedy: `Put the model at ${join(directory, String(served || 1), config.modelFilename)}`,
    });
  const labelPath = labelPathOf(repository, config);
  if (labelPath !== undefined) await assertFile(labelPath, 'output.label_filename');
  const versions: ModelVersion[] = [];
  for (const version of served) {
    const modelPath = join(directory, String(version), config.modelFilename);
    await assertFile(modelPath, 'default_model_filename');
    versions.push({ config, version, configPath, modelPath, labelPath, sha256: await sha256File(modelPath) });
  }
  return versions;
}

/** A recogniser's dictionary: the file that its config names, or the one that its number of classes does. */
export function labelPathOf(repository: string, { name, inferred, output }: ModelConfig): string | undefined {
  if (inferred.labels) return knownDictionaryPath();
  return output.labelFilename === undefined ? undefined : join(repository, name, output.labelFilename);
}

/** The version directories of a model's directory, newest first. */
export async function presentVersions(directory: string): Promise<number[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const numbers = entries.filter((entry) => entry.isDirectory() && /^[1-9]\d*$/.test(entry.name));
  return numbers.map(({ name }) => Number(name)).sort((a, b) => b - a);
}

/** The versions that a policy picks of those present (newest first), or the one it names in vain. */
export function servedVersions(present: readonly number[], policy: VersionPolicy): number[] | number {
  switch (policy.kind) {
    case 'all':
      return [...present];
    case 'latest':
      return present.slice(0, policy.count);
    case 'specific':
      return (
        policy.versions.find((version) => !present.includes(version)) ??
        present.filter((version) => policy.versions.includes(version))
      );
  }
}

/** A text file of the repository, such as a dictionary; `field` is the config's field that names it. */
export async function readText(file: string, field: string): Promise<string> {
  await assertFile(file, field, maxTextBytes);
  return readFile(file, 'utf8');
}

export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

async function assertFile(file: string, field: string, maxBytes = Number.MAX_SAFE_INTEGER): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() && found.size > 0 && found.size <= maxBytes) return;
  const problem = found
    ? `expected a file of 1 to ${maxBytes} bytes, found ${found.size}`
    : 'the file is missing';
  throw new ModelConfigError({ file, field, problem, remedy: 'Put the file there, or correct the config' });
}
