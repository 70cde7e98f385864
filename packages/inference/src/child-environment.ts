/**
 * What a child process needs of our environment, and nothing else: decoding children read hostile bytes and
 * instances run models of others, and neither has any use for the keys of Redis, S3 or webhooks.
 */
const passed =
  /^(PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|NODE_OPTIONS|LD_LIBRARY_PATH|LD_PRELOAD|MALLOC_\w+|OMP_\w+|OPENBLAS_\w+|CUDA_\w+|NVIDIA_\w+|ORT_\w+)$/;

export function childEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => passed.test(name)));
}
