import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelConfigError } from './model-config-error.ts';

/** How far two files' outputs are apart, each a probability; 999 of 1000 differ by `in999Of1000` at most. */
const distance = { largest: z.number(), in999Of1000: z.number() };
const comparisonSchema = z.object({
  runs: z.int(),
  /** Outputs that were compared. */
  outputs: z.int(),
  ...distance,
  /** How far the original itself moves where the runtime's own optimisations are off: no rewriting can be nearer. */
  noiseFloor: z.object(distance),
});
export type Comparison = z.infer<typeof comparisonSchema>;

const importNoteSchema = z.object({
  /** What was imported; of a package where it came from one. */
  source: z.object({
    package: z.string().optional(),
    version: z.string().optional(),
    file: z.string(),
    sha256: z.string(),
  }),
  /** What lies beside the note now. */
  model: z.object({ file: z.string(), sha256: z.string() }),
  /** What was done to the graph, in this order. */
  changes: z.array(z.object({ rule: z.string(), count: z.int() })),
  /** How far the changed graph's outputs were from the original's, on noise and strokes. */
  compared: comparisonSchema.optional(),
  /** What was left undone, and why. */
  notes: z.array(z.string()).optional(),
});

/** `<version>/import.json`: where a model file came from and what was done to it. */
export type ImportNote = z.infer<typeof importNoteSchema>;

const noteFile = 'import.json';

export async function writeImportNote(versionDirectory: string, note: ImportNote): Promise<void> {
  await writeFile(join(versionDirectory, noteFile), `${JSON.stringify(note, null, 2)}\n`);
}

/** undefined for a version that was put there by hand. Throws `ModelConfigError` for a note that is none. */
export async function readImportNote(versionDirectory: string): Promise<ImportNote | undefined> {
  const file = join(versionDirectory, noteFile);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return importNoteSchema.parse(JSON.parse(text));
  } catch (error) {
    const remedy = 'Import the model again, or remove the file';
    const at = { file, field: 'import.json', problem: 'it is not what an import writes', remedy };
    throw new ModelConfigError(at, { cause: error });
  }
}
