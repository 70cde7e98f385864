import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { argmaxOutputs } from './graph-argmax.ts';
import { type PreparedModel, prepareModel } from './graph-import.ts';
import { type Comparison, type ImportNote, writeImportNote } from './import-note.ts';
import { knownDictionary, knownDictionaryPath } from './model-assets.ts';
import { type ModelConfig, parseModelConfig } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { configText, type ModelShape, modelShape, type ShapeOptions } from './model-shape.ts';
import { tryVersion } from './model-verify.ts';
import { labelPathOf, presentVersions, readModelConfig, readText } from './repository.ts';

export interface ImportOptions extends ShapeOptions {
  repository: string;
  /** The ONNX file. */
  file: string;
  /** Of the model; a new one, or one that gets another version. */
  name: string;
  /** A new recogniser's dictionary file, one character a line; undefined: the known one, for its number of classes. */
  labels: string | undefined;
  /** Default: 1, or one above the highest that is there. */
  version: number | undefined;
}

export interface Imported {
  config: ModelConfig;
  version: number;
  note: ImportNote;
}

/** Far above any model of this kind; protobuf ends at 2 GiB. */
const maxModelBytes = 1024 ** 3;
const modelName = /^[A-Za-z0-9][\w.-]{0,127}$/;

/**
 * Puts an ONNX detector or recogniser into a repository, whole or not at all: works out its config, or holds it
 * against the config of the model whose version it becomes; makes its graph smaller where a comparison on noise shows
 * the same outputs; and runs it once. Throws `ModelConfigError` for a model that does not fit, or a version that is there.
 */
export async function importModel(options: ImportOptions): Promise<Imported> {
  const { repository, name, file } = options;
  if (!modelName.test(name))
    throw refusal(
      file,
      'name',
      `"${name}" is no name for a model`,
      'Use letters, digits, dots, dashes, underscores',
    );
  const bytes = await readModel(file);
  const target = join(repository, name);
  const found = await existing(repository, name);
  const shape = modelShape(bytes, file, found ? { ...options, ...saidBy(found) } : options);
  const version = await freeVersion(target, options, found !== undefined);
  // In the repository itself, since a rename is atomic within one file system only; the dot hides it from readers.
  const staging = join(repository, `.importing-${name}-${randomUUID()}`);
  const directory = join(staging, String(version));
  try {
    await mkdir(directory, { recursive: true });
    const job: Job = { options, shape, bytes, found, staging, directory };
    const labelPath = await stageLabels(job);
    const { config, note } = await stageModel(job, labelPath);
    const configPath = join(found ? target : staging, 'config.pbtxt');
    const modelPath = join(directory, config.modelFilename);
    await tryVersion({ config, version, configPath, modelPath, labelPath, sha256: note.model.sha256 }).catch(
      (error: unknown) => {
        throw ofSource(error, staging, options);
      },
    );
    await moveInto(found ? directory : staging, found ? join(target, String(version)) : target);
    return { config, version, note };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

interface Job {
  options: ImportOptions;
  shape: ModelShape;
  bytes: Uint8Array;
  /** The model that gets another version. */
  found: ModelConfig | undefined;
  /** Becomes the model's directory, or holds the version's. */
  staging: string;
  /** Becomes the version's directory. */
  directory: string;
}

async function readModel(file: string): Promise<Uint8Array> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() && found.size <= maxModelBytes) return readFile(file);
  const problem = found ? `expected a file of at most ${maxModelBytes} bytes` : 'there is no such file';
  throw refusal(file, 'file', problem, 'Name an ONNX file');
}

async function existing(repository: string, name: string): Promise<ModelConfig | undefined> {
  const found = await stat(join(repository, name)).catch(() => undefined);
  return found && readModelConfig(repository, name);
}

/** What the config says stands for all versions. */
function saidBy({ settings, maxBatchSize }: ModelConfig): Partial<ShapeOptions> {
  const { role } = settings;
  return { role, maxBatchSize, ...(settings.role === 'recognize' && { height: settings.height }) };
}

async function freeVersion(
  target: string,
  { version, file }: ImportOptions,
  exists: boolean,
): Promise<number> {
  const present = exists ? await presentVersions(target) : [];
  const wanted = version ?? (present[0] ?? 0) + 1;
  if (!present.includes(wanted)) return wanted;
  const remedy = `Import it as another version, such as ${(present[0] ?? 0) + 1}`;
  throw refusal(file, 'version', `${join(target, String(wanted))} is there already`, remedy);
}

/** The dictionary to read with: a new model's own, copied beside it, or that of the model which is there. */
async function stageLabels({ options, shape, found, staging }: Job): Promise<string | undefined> {
  const { labels, repository, name, file } = options;
  if (shape.role === 'detect' && labels !== undefined)
    throw refusal(file, 'labels', 'a detector has no dictionary', 'Leave --labels out');
  if (found) {
    const path = labelPathOf(repository, found);
    if (path === undefined || labels === undefined) return path;
    if ((await readText(labels, 'labels')) === (await readText(path, 'output.label_filename'))) return path;
    throw refusal(
      labels,
      'labels',
      `it is not the dictionary of ${name}`,
      'Import the model under another name',
    );
  }
  if (shape.role === 'detect') return undefined;
  const from = labels ?? (shape.classes === knownDictionary.classes ? knownDictionaryPath() : undefined);
  if (from === undefined)
    throw refusal(
      file,
      'labels',
      `a recogniser needs its dictionary, which is known for ${knownDictionary.classes} classes only`,
      'Name it, one character a line: --labels',
    );
  const copy = join(staging, basename(from));
  await writeFile(copy, await readText(from, 'labels'));
  return copy;
}

/** Writes the model with the smallest graph that gives the same outputs, its note, and a new model's config. */
async function stageModel(
  job: Job,
  labelPath: string | undefined,
): Promise<{ config: ModelConfig; note: ImportNote }> {
  const { bytes, directory, options } = job;
  const labels = labelPath && basename(labelPath);
  const { notes, ...attempt } = prepare(job);
  let { prepared } = attempt;
  let config = await stageFiles(job, prepared, labels);
  let compared: Comparison | undefined;
  try {
    compared = await compare(job, prepared, config);
  } catch (error) {
    notes.push(`the graph was left as it is: ${reasonOf(error)}`);
    prepared = { model: bytes, changes: [], classes: undefined };
    config = await stageFiles(job, prepared, labels);
  }
  const note: ImportNote = {
    source: { file: basename(options.file), sha256: sha256(bytes) },
    model: { file: config.modelFilename, sha256: sha256(prepared.model) },
    changes: prepared.changes,
    ...(compared && { compared }),
    notes,
  };
  await writeImportNote(directory, note);
  return { config, note };
}

async function compare(
  { bytes, staging, directory, shape }: Job,
  { changes }: PreparedModel,
  config: ModelConfig,
): Promise<Comparison | undefined> {
  if (changes.length === 0) return undefined;
  const original = join(staging, 'original.onnx');
  await writeFile(original, bytes);
  try {
    // Here and not above: the runtime is loaded by who compares, and not with every command.
    const { compareModels } = await import('./model-compare.ts');
    const prepared = join(directory, config.modelFilename);
    return await compareModels({ original, prepared, config, output: shape.output.name });
  } finally {
    await rm(original);
  }
}

/** A model's versions all have its outputs, so that best classes are taken where they are for those that are there. */
function prepare({ bytes, shape, found }: Job): { prepared: PreparedModel; notes: string[] } {
  const wantsBest = found ? found.indices !== undefined : shape.classes !== undefined;
  if (shape.role === 'detect' || !wantsBest) return { prepared: prepareModel(bytes), notes: [] };
  try {
    return { prepared: prepareModel(bytes, { softmaxOutput: shape.output.name }), notes: [] };
  } catch (error) {
    const notes = [`the scores of all classes leave the graph: ${reasonOf(error)}`];
    return { prepared: prepareModel(bytes), notes };
  }
}

async function stageFiles(
  { options, shape, found, staging, directory }: Job,
  { model, classes }: PreparedModel,
  labels: string | undefined,
): Promise<ModelConfig> {
  const best = classes === undefined ? undefined : { ...argmaxOutputs, classes };
  const text = configText(options.name, shape, { best, labels });
  const file = join(staging, 'config.pbtxt');
  const config = found ?? parseModelConfig(text, file);
  if (!found) await writeFile(file, text);
  await writeFile(join(directory, config.modelFilename), model);
  return config;
}

/** A rename fails where something is there, so that of two imports at once one is refused. */
async function moveInto(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    const at = {
      file: to,
      field: 'version',
      problem: 'it is there already',
      remedy: 'Import it as another version',
    };
    throw new ModelConfigError(at, { cause: error });
  });
}

/** Mistakes are in the files that were given: those being written are gone when the message is read. */
function ofSource(error: unknown, staging: string, { file, labels = file }: ImportOptions): unknown {
  if (!(error instanceof ModelConfigError) || !error.file.startsWith(staging)) return error;
  const { field, problem, remedy } = error;
  const isLabels = field === 'output.label_filename';
  return new ModelConfigError({ file: isLabels ? labels : file, field, problem, remedy }, { cause: error });
}

function refusal(file: string, field: string, problem: string, remedy: string): ModelConfigError {
  return new ModelConfigError({ file, field, problem, remedy });
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
