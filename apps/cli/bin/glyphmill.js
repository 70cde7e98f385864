#!/usr/bin/env node
// Node 22.18 and later run the TypeScript as it is; before that the tsx loader does.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const { register } = await import('tsx/esm/api');
  register();
}
await import('../src/main.ts');
