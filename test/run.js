#!/usr/bin/env node
// Runs the test files of the named folders under node's own runner, two side by side. A file that fails there is run
// once more by itself: many tests start whole systems with deadlines, and two of them may starve each other on a small
// machine. What fails again has failed; what passes is named, so that it can be mended. Fails too when a folder has no
// tests: on Node 20 a runner that finds no file exits 0.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** More than so many files are not starved, but broken. */
const mostAgain = 6;

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

const first = await run(files, 2);
if (first.code === 0) process.exit(0);
if (first.failed.length === 0 || first.failed.length > mostAgain) process.exit(first.code);
const names = first.failed.map((file) => relative(root, file)).join(', ');
console.log(`\nOnce more, each by itself: ${names}\n`);
const second = await run(first.failed, 1);
if (second.code === 0) console.log(`\nPassed by themselves, but not beside others: ${names}`);
process.exit(second.code);

/** The exit code of node's runner, and the files in which a test failed. */
async function run(files, atOnce) {
  const folder = mkdtempSync(join(tmpdir(), 'glyphmill-test-'));
  const list = join(folder, 'failed');
  const args = [
    ...['--import', 'tsx', '--test', `--test-concurrency=${atOnce}`],
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${join(root, 'failed-files.js')}`, `--test-reporter-destination=${list}`],
    ...files,
  ];
  const code = await new Promise((resolve) => {
    spawn(process.execPath, args, { stdio: 'inherit' }).on('exit', (exit) => resolve(exit ?? 1));
  });
  const failed = [...new Set(readFileSync(list, 'utf8').split('\n').filter(Boolean))];
  rmSync(folder, { recursive: true, force: true });
  return { code, failed };
}
