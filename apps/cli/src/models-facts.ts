import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImportNote, readImportNote } from '@glyphmill/inference/import-note';
import type { ModelConfig } from '@glyphmill/inference/model-config';
import { ModelConfigError } from '@glyphmill/inference/model-config-error';
import { inspectModel, type OnnxModelInfo } from '@glyphmill/inference/onnx-inspect';
import { presentVersions, readModelConfig, readVersions } from '@glyphmill/inference/repository';

/** A model in one line. */
export interface ModelSummary {
  name: string;
  role: 'detect' | 'recognize' | null;
  /** Those there, and of these the ones that the version policy serves; newest first. */
  versions: number[];
  served: number[];
  /** Of its instance group. */
  kind: 'auto' | 'gpu' | 'cpu' | null;
  maxBatchSize: number | null;
  /** Of the newest version served. */
  sha256: string | null;
  /** The first mistake, where there is one. */
  mistake: string | null;
}

/** Everything there is to say of a model without running it. */
export interface ModelFacts extends ModelSummary {
  config: ModelConfig;
  files: { file: string; bytes: number }[];
  graphs: { version: number; sha256: string; graph: OnnxModelInfo; imported: ImportNote | null }[];
}

/** A faulty model is summed up too: what is wrong stands in `mistake`. */
export async function summarizeModel(repository: string, name: string): Promise<ModelSummary> {
  const summary: ModelSummary = {
    name,
    role: null,
    versions: await presentVersions(join(repository, name)),
    served: [],
    kind: null,
    maxBatchSize: null,
    sha256: null,
    mistake: null,
  };
  try {
    const config = await readModelConfig(repository, name);
    summary.role = config.settings.role;
    summary.kind = config.instanceGroup.kind;
    summary.maxBatchSize = config.maxBatchSize;
    const versions = await readVersions(repository, config);
    summary.served = versions.map(({ version }) => version);
    summary.sha256 = versions[0]?.sha256 ?? null;
  } catch (error) {
    if (!(error instanceof ModelConfigError)) throw error;
    summary.mistake = error.message;
  }
  return summary;
}

/** Throws `ModelConfigError` for a faulty model. */
export async function describeModel(repository: string, name: string): Promise<ModelFacts> {
  const config = await readModelConfig(repository, name);
  const found = await readVersions(repository, config);
  const graphs: ModelFacts['graphs'] = [];
  for (const { version, modelPath, sha256 } of found) {
    const imported = (await readImportNote(join(repository, name, String(version)))) ?? null;
    graphs.push({ version, sha256, graph: await inspect(modelPath), imported });
  }
  const files = await filesOf(join(repository, name));
  return { ...(await summarizeModel(repository, name)), config, files, graphs };
}

async function inspect(file: string): Promise<OnnxModelInfo> {
  try {
    return inspectModel(await readFile(file));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const at = { file, field: 'default_model_filename', problem, remedy: 'Copy or export the model again' };
    throw new ModelConfigError(at, { cause: error });
  }
}

async function filesOf(directory: string): Promise<ModelFacts['files']> {
  const files: ModelFacts['files'] = [];
  for (const file of (await readdir(directory, { recursive: true })).sort()) {
    const found = await stat(join(directory, file));
    if (found.isFile()) files.push({ file, bytes: found.size });
  }
  return files;
}
