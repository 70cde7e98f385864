import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { resultSchema } from '@glyphmill/contract/result';
import { loadSamples, samplesFolder, sampleText } from '../fixtures/sample-list.ts';
import { repositoryRoot } from './system.ts';

const folder = mkdtempSync(join(tmpdir(), 'glyphmill-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function glyphmill(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const command = join(repositoryRoot, 'apps/cli/bin/glyphmill.js');
  return new Promise((resolve) => {
    const options = {
      cwd: repositoryRoot,
      env: { ...process.env, ...env },
      timeout: 120_000,
      maxBuffer: 50_000_000,
    };
    execFile(process.execPath, [command, ...args], options, (error, stdout, stderr) => {
      resolve({
        code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      });
    });
  });
}

const commands = [
  'start',
  'worker',
  'api',
  'webhook',
  'submit',
  'status',
  'wait',
  'result',
  'ocr',
  'key',
  'models',
  'simulate',
  'demo',
  'doctor',
];

test('the help names every command, and every command has help of its own', async () => {
  const { code, stdout } = await glyphmill(['--help']);
  assert.equal(code, 0);
  for (const command of commands) assert.match(stdout, new RegExp(`^ {2}${command}\\b`, 'm'));
  for (const command of ['ocr', 'submit', 'start']) {
    const help = await glyphmill([command, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--data-dir <path>/);
  }
});

test('a command line that is not valid ends with 2 and says what was expected', async () => {
  const unknown = await glyphmill(['ocrr', 'x.png']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /unknown command 'ocrr'/);
  const missing = await glyphmill(['ocr', join(folder, 'nothing.png')]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /there is no file or folder/);
  const option = await glyphmill(['ocr', '--option', 'minConfidense=1', join(repositoryRoot, 'README.md')]);
  assert.equal(option.code, 2);
  assert.match(option.stderr, /minConfidense/);
});

test('without a system to talk to, commands end with 3 and say how to get one', async () => {
  const none = await glyphmill(['status', 'job_x', '--data-dir', folder]);
  assert.equal(none.code, 3);
  assert.match(none.stderr, /glyphmill start.*GLYPHMILL_URL/);
  const gone = await glyphmill(['status', 'job_x'], {
    GLYPHMILL_URL: 'http://127.0.0.1:1',
    GLYPHMILL_API_KEY: 'gm_x',
  });
  assert.equal(gone.code, 3);
});

test('ocr prints one JSON object per file and line, in order, and a bad file does not stop the others', async () => {
  const bad = join(folder, 'bad.png');
  writeFileSync(bad, 'no picture at all');
  const files = [join(samplesFolder, 'notice.png'), bad, join(samplesFolder, 'zh-sign.webp')];
  const { code, stdout, stderr } = await glyphmill(['ocr', '--format', 'json', ...files]);
  assert.equal(code, 1);
  assert.match(stderr, /1 of 3 files could not be read in full/);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ file }) => file),
    files,
  );
  assert.equal(resultSchema.parse(lines[0]).jobId, null);
  assert.equal(lines[1].error.code, 'unsupported-document');
  assert.match(lines[2].text, /[\u4e00-\u9fff]/);
});

test('ocr reads a folder of lines as text', async () => {
  const lines = loadSamples().filter(({ file }) => file === 'line-english.png' || file === 'line-digits.png');
  for (const { file } of lines) writeFileSync(join(folder, file), readFileSync(join(samplesFolder, file)));
  rmSync(join(folder, 'bad.png'), { force: true });
  const { code, stdout } = await glyphmill(['ocr', '--mode', 'line', folder]);
  assert.equal(code, 0);
  for (const line of lines) assert.ok(stdout.includes(sampleText(line)), stdout);
});

test('key create prints a key once and keeps only its digest', async () => {
  const file = join(folder, 'keys.json');
  const { code, stdout } = await glyphmill(['key', 'create', '--tenant', 'acme', '--file', file]);
  assert.equal(code, 0);
  assert.match(stdout, /^gm_[0-9a-f]+_\S{40,}\n$/);
  const kept = readFileSync(file, 'utf8');
  assert.match(kept, /"tenant": "acme"/);
  // The secret part may hold an underscore of its own.
  const secret = stdout.trim().replace(/^gm_[0-9a-f]+_/, '');
  assert.ok(secret.length >= 40 && !kept.includes(secret), 'the secret itself was written down');
});

test('simulate gives the batches that the vectors expect', async () => {
  const file = join(repositoryRoot, 'test/fixtures/batcher-vectors.json');
  const { vectors } = JSON.parse(readFileSync(file, 'utf8'));
  const { code, stdout } = await glyphmill(['simulate', file, '--json']);
  assert.equal(code, 0);
  const simulated = JSON.parse(stdout).vectors;
  assert.equal(simulated.length, vectors.length);
  for (const [index, vector] of vectors.entries()) {
    assert.deepEqual(simulated[index].batches, vector.expect.batches, vector.name);
    assert.deepEqual(simulated[index].dropped, vector.expect.dropped ?? [], vector.name);
  }
});

test('simulate plans batch sizes and delays for a load', async () => {
  const config = join(folder, 'config.pbtxt');
  writeFileSync(
    config,
    `name: "r" platform: "onnxruntime_onnx" max_batch_size: 8
     input { name: "x" data_type: TYPE_FP32 dims: [3, 48, -1] } output { name: "y" data_type: TYPE_FP32 dims: [-1, 10] label_filename: "l.txt" }
     dynamic_batching { max_queue_delay_microseconds: 1000 } parameters { key: "role" value { string_value: "recognize" } }`,
  );
  const { code, stdout, stderr } = await glyphmill([
    'simulate',
    '--config',
    config,
    '--rate',
    '2000',
    '--seconds',
    '2',
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  const { plans } = JSON.parse(stdout);
  assert.equal(plans.length, 12);
  for (const { meanFill, throughputPerSecond } of plans) assert.ok(meanFill > 0 && throughputPerSecond > 100);
});

test('simulate plays a file of 100,000 arrivals for a few times what it costs to start the command', async () => {
  const file = join(folder, 'many.json');
  const arrivals = Array.from({ length: 100_000 }, (_, id) => ({ id, t: 10 * id, shape: id % 12 }));
  const cfg = { maxBatchSize: 64, preferred: [32], maxQueueDelayUs: 2000, instances: 16, svc: [1900, 90] };
  writeFileSync(file, JSON.stringify({ name: 'many', cfg: { ...cfg, enforceEqualShape: true }, arrivals }));
  const out = join(folder, 'many-out.json');
  // Both at a time when the machine may do other work: alone the first costs about 0.7 s and the second 2.3 s.
  const startSeconds = await processorSeconds(['--version'], out);
  const seconds = await processorSeconds(['simulate', file, '--json'], out);
  const [trace] = JSON.parse(readFileSync(out, 'utf8')).vectors;
  const sizes: number[] = trace.batches.map(({ size }: { size: number }) => size);
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    100_000,
  );
  assert.ok(seconds < 7 * startSeconds, `it took ${seconds} s, and to start ${startSeconds} s`);
});

/** User and system time of a command of ours, in seconds; what it prints goes to `out`. */
async function processorSeconds(args: string[], out: string): Promise<number> {
  const bin = join(repositoryRoot, 'apps/cli/bin/glyphmill.js');
  const { stderr } = await promisify(execFile)(
    'bash',
    ['-euc', `TIMEFORMAT='%U %S'; time "$0" "$@" > "$OUT"`, process.execPath, bin, ...args],
    { cwd: repositoryRoot, env: { ...process.env, OUT: out }, timeout: 120_000 },
  );
  // What the command itself says there stands before it.
  const [, user, system] = /([\d.]+) ([\d.]+)\s*$/.exec(stderr) ?? assert.fail(`no times: ${stderr}`);
  return Number(user) + Number(system);
}
