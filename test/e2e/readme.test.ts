import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePorts } from 'glyphmill-cli/free-ports';
import { findPython } from '../conformance/python.ts';
import { repositoryRoot } from './system.ts';

const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
const shellBlocksOf = (text: string) =>
  [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
const shellBlocks = shellBlocksOf(readme);
const startDeadlineMs = 120_000;
const commandDeadlineMs = 120_000;

let ports: string[];
let url = '';
let s3Url = '';
let started: Started;

interface Started {
  child: ChildProcess;
  printed: () => string;
}

// The README's command with the README's defaults, but for the ports, which may be taken here.
async function npmStart(): Promise<Started> {
  const child = spawn('npm', ['start', '--', ...ports], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const deadline = Date.now() + startDeadlineMs;
  while (!printed.includes('Ctrl-C stops everything')) {
    assert.ok(Date.now() < deadline && child.exitCode === null, `npm start did not come up:\n${printed}`);
    await delay(100);
  }
  return { child, printed: () => printed };
}

/** What Ctrl-C in a terminal does: SIGINT to the whole group in the foreground. */
async function pressCtrlC({ child }: Started): Promise<void> {
  const exited = once(child, 'exit');
  process.kill(-(child.pid ?? Number.NaN), 'SIGINT');
  await exited;
}

before(async () => {
  const [api = 0, s3 = 0, metrics = 0] = await freePorts(3);
  url = `http://127.0.0.1:${api}`;
  s3Url = `http://127.0.0.1:${s3}`;
  ports = ['--port', `${api}`, '--s3-port', `${s3}`, '--metrics-port', `${metrics}`];
  started = await npmStart();
});

after(async () => {
  if (started?.child.exitCode === null && started.child.signalCode === null) await pressCtrlC(started);
});

async function shell(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: repositoryRoot,
    timeout: commandDeadlineMs,
    maxBuffer: 10_000_000,
  });
  return stdout;
}

test('the README has at most 200 lines, and every file it links to is there', () => {
  assert.ok(readme.split('\n').length <= 201);
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => path);
  assert.ok(links.length > 0);
  assert.deepEqual(
    links.filter((path) => !existsSync(join(repositoryRoot, path))),
    [],
  );
});

test('the scripts that the README names exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'));
  const named = [...readme.matchAll(/npm (?:run )?(start|test|demo|check|bench)\b/g)].map(
    ([, name = '']) => name,
  );
  assert.ok(named.includes('start') && named.includes('test'));
  for (const name of named) assert.ok(scripts[name], `npm run ${name}`);
});

test('the curl lines of the README work as they are pasted', async () => {
  const block = shellBlocks.find((text) => text.includes('curl')) ?? '';
  const output = await shell(block.replaceAll('http://127.0.0.1:8080', url));
  assert.match(output, /"object":"ocr\.result"/);
  assert.match(output, /"status":"succeeded"/);
  assert.match(output, /Water will be off/);
});

test('the curl lines of docs/watching.md work as they are pasted', async () => {
  const [block = ''] = shellBlocksOf(readFileSync(join(repositoryRoot, 'docs/watching.md'), 'utf8'));
  const output = await shell(block.replaceAll('http://127.0.0.1:8080', url));
  assert.match(output, /^retry: \d+\n\nid: \d+\nevent: job\.\w+\ndata: \{"object":"job"/);
  assert.match(output, /\nevent: job\.succeeded\n/);
  assert.match(output, /"number":4,"status":"succeeded"/);
  assert.match(output, /Survey of Footbridges/);
});

test('the lines of docs/batches.md work as they are pasted', async () => {
  const [block = ''] = shellBlocksOf(readFileSync(join(repositoryRoot, 'docs/batches.md'), 'utf8'));
  const output = await shell(
    block.replaceAll('http://127.0.0.1:8080', url).replaceAll('http://127.0.0.1:7070', s3Url),
  );
  assert.match(output, /"object":"batch".*"status":"completed"/);
  assert.match(output, /"index":0,"status":"succeeded","error":null,"result":\{.*Water will be off/);
  assert.match(output, /"index":1,"status":"succeeded","error":null,"result":\{.*Dear Ms Pryce/);
  assert.match(output, /"source":\{"type":"manifest","bucket":"documents","key":"manifests\/july\.jsonl"/);
  assert.match(
    output,
    /"source":\{"type":"prefix","bucket":"documents","prefix":"2026\/","glob":"\*\*\.png"/,
  );
});

test('the lines of docs/sdk.md work as they are pasted: TypeScript', async () => {
  const [block = ''] = shellBlocksOf(readFileSync(join(repositoryRoot, 'docs/sdk.md'), 'utf8'));
  const output = await shell(block.replaceAll('http://127.0.0.1:8080', url));
  assert.match(output, /Water will be off/);
  assert.match(output, /succeeded \d+ lines\n0 .+\n1 .+\n$/);
});

test('the lines of docs/sdk.md work as they are pasted: Python', async (t) => {
  const found = await findPython();
  if ('missing' in found) {
    t.skip(found.missing);
    return;
  }
  const page = readFileSync(join(repositoryRoot, 'docs/sdk.md'), 'utf8');
  const block = /```sh python\n(.*?)```/s.exec(page)?.[1] ?? '';
  const output = await shell(block.replaceAll('http://127.0.0.1:8080', url));
  assert.match(output, /Water will be off/);
  assert.match(output, /succeeded \d+ lines\n0 .+\n$/);
});

test('the commands of the README work as they are pasted', async () => {
  const block = shellBlocks.find((text) => text.includes('npx glyphmill')) ?? '';
  const output = await shell(block);
  assert.match(output, /Dear Ms Pryce/);
  assert.match(output, /"file":"test\/fixtures\/samples\/notice\.png"/);
  assert.match(output, /Exit codes: 0 done/);
});

test('the lines that npm start prints to try work as they are pasted', async () => {
  const lines = started
    .printed()
    .split('\n')
    .filter((line) => /^ {2}(curl|npx) /.test(line));
  assert.equal(lines.length, 3);
  const output = await shell(lines.join('\n'));
  assert.match(output, /Dear Ms Pryce/);
  assert.match(output, /"object":"list"/);
});

test('the page at /docs and the OpenAPI document are there', async () => {
  const page = await fetch(`${url}/docs/`);
  assert.equal(page.status, 200);
  const description: unknown = await (await fetch(`${url}/openapi.json`)).json();
  assert.match(JSON.stringify(description), /"openapi":"3\.1/);
});

test('Ctrl-C stops everything, and all is there after the next start', async () => {
  const { apiKey } = JSON.parse(readFileSync(join(repositoryRoot, '.glyphmill/secrets.json'), 'utf8'));
  const newestJob = async () => {
    const response = await fetch(`${url}/v1/jobs?limit=1`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    return response.text();
  };
  const before = await newestJob();
  assert.match(before, /"status":"succeeded"/);
  await pressCtrlC(started);
  assert.match(started.printed(), /everything is kept for the next start/);
  await assert.rejects(fetch(`${url}/livez`));
  started = await npmStart();
  assert.equal(await newestJob(), before);
});
