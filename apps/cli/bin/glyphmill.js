#!/usr/bin/env node
// Node 22.18 and later run the TypeScript as it is; before that the tsx loader does.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const { register } = await import('tsx/esm/api');
  register();
}
// The S3 client's notice about Node 20 is for us, who pin its version, and not for who runs a command.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
await import('../src/main.ts');
