import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Comparison, ImportNote } from './import-note.ts';
import { defaultModelAssets } from './model-assets.ts';
import { ModelConfigError } from './model-config-error.ts';
import { inspectModel } from './onnx-inspect.ts';
import { type ModelVersion, sha256File } from './repository.ts';

/**
 * How far a model's outputs are from those of the file that it was made from; undefined where that is not at hand, as
 * a default model's is in its package. Takes some seconds. Throws `ModelConfigError` where rounding does not explain it.
 */
export async function compareWithOriginal(
  { config, modelPath }: ModelVersion,
  { source, changes }: ImportNote,
): Promise<Comparison | undefined> {
  if (source.package === undefined || changes.length === 0) return undefined;
  const original = join(defaultModelAssets(), source.file);
  const bytes = await readFile(original).catch(() => undefined);
  if (!bytes || (await sha256File(original)) !== source.sha256) return undefined;
  const [output] = inspectModel(bytes).outputs;
  try {
    // Here and not above: the runtime is loaded by who compares, and not with every command.
    const { compareModels } = await import('./model-compare.ts');
    return await compareModels({ original, prepared: modelPath, config, output: output?.name ?? '' });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const remedy = 'Import the model again with this version of Glyphmill and its runtime';
    throw new ModelConfigError(
      { file: modelPath, field: 'import.json: changes', problem, remedy },
      { cause: error },
    );
  }
}
