/**
 * The arguments node needs to run our TypeScript in a child process: none where it strips types itself
 * (22.18 and later), else the tsx loader by its full address, so that the working directory does not matter.
 */
export function typescriptArgs(): string[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const strips = major > 22 || (major === 22 && minor >= 18);
  return strips ? [] : ['--import', import.meta.resolve('tsx')];
}
