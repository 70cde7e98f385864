import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Names the CUDA provider library that is not there, if so. Asking first keeps the runtime's own error off the
 * terminal; that the library is there proves nothing yet.
 */
export function cudaLibraryMissing(): string | undefined {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = join(
    root,
    'bin/napi-v6',
    process.platform,
    process.arch,
    'libonnxruntime_providers_cuda.so',
  );
  return existsSync(library) ? undefined : `the CUDA provider library is not installed (${library})`;
}
