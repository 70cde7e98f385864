#!/usr/bin/env node
// Runs the test files of the named folders under node's own runner and fails when a folder has none:
// on Node 20 a runner that finds no file exits 0.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const folders = process.argv.slice(2);
const files = folders.flatMap((folder) => {
  const found = readdirSync(join(root, folder)).filter((name) => name.endsWith('.test.ts'));
  if (found.length === 0) {
    console.error(`test/run.js: no *.test.ts in test/${folder}; name folders that have tests.`);
    process.exit(1);
  }
  return found.sort().map((name) => join(root, folder, name));
});
if (files.length === 0) {
  console.error('Usage: node test/run.js <folder of test/> [<folder> ...]');
  process.exit(1);
}
const args = ['--import', 'tsx', '--test', '--test-concurrency=2', '--test-reporter=spec', ...files];
spawn(process.execPath, args, { stdio: 'inherit' }).on('exit', (code) => process.exit(code ?? 1));
