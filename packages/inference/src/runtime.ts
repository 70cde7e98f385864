import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/** The inference runtime and its version, read without loading it: that is left to the instances. */
export const runtime = `onnxruntime ${readVersion()}`;

function readVersion(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  const manifest: unknown = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8'));
  return z.object({ version: z.string() }).parse(manifest).version;
}
