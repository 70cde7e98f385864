import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { repositoryRoot } from './system.ts';

const folder = mkdtempSync(join(tmpdir(), 'glyphmill-bench-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function bench(args: string[], script = 'bench'): Promise<{ code: unknown; stdout: string; stderr: string }> {
  // What is left behind by the bench would be left in here.
  const env = { ...process.env, TMPDIR: folder };
  const options = { cwd: repositoryRoot, env, timeout: 300_000 };
  return new Promise((resolve) => {
    execFile('npm', ['run', '--silent', script, '--', ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

const positive = z.number().positive();
const rounds = z.object({ worker: z.array(positive).min(3), bare: z.array(positive).min(3) });
const resultsSchema = z.object({
  machine: z.object({ cpu: z.string().regex(/^\d+ × /), runtime: z.string().regex(/^onnxruntime \d/) }),
  node: z.literal(`Node ${process.versions.node}`),
  date: z.iso.date(),
  command: z.string().startsWith('npm run bench -- --quick --only batcher,a'),
  quick: z.literal(true),
  table: z.array(z.object({ what: z.string(), figure: z.string() })).length(2),
  figures: z.strictObject({
    engine: z.object({
      efficiency: z.object({ bySpeed: positive.max(3), byCpu: positive.max(3) }),
      linesPerSecond: z.object({ worker: positive, bare: positive }),
      cpuMsPerLine: z.object({ worker: positive, bare: positive }),
      eachRound: z.object({ linesPerSecond: rounds, cpuMsPerLine: rounds }),
    }),
    batcher: z.object({
      worstUs: positive.max(1000),
      cases: z.array(z.object({ name: z.string(), items: z.literal(100_000), usPerItem: positive })).min(8),
    }),
  }),
});

test('the bench measures what is asked for, prints a table and writes it as JSON with machine and command', async () => {
  const file = join(folder, 'results', 'bench.json');
  const { code, stdout, stderr } = await bench(['--quick', '--only', 'batcher,a', '--json', file]);
  assert.equal(code, 0, stderr);
  const [head, rule, ...rows] = stdout.trimEnd().split('\n');
  assert.match(head ?? '', /^\| what +\| figure +\| target +\|$/);
  assert.match(rule ?? '', /^\|-+\|-+\|-+\|$/);
  assert.equal(rows.length, 2, stdout);
  assert.match(
    rows[0] ?? '',
    /^\| \(a\) worker ÷ bare .*\| [\d.]+ % of the lines\/s .*\| ≥ 95\.0 %: (met|missed) +\|$/,
  );
  assert.match(
    rows[1] ?? '',
    /^\| \(d\) micro-batcher .*\| [\d.]+ to [\d.]+ µs .*\| ≤ 5 µs: (met|missed) +\|$/,
  );
  assert.match(stderr, /round 3 of 3: bare, worker [\d.]+ lines\/s/);
  const { figures, table } = resultsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  for (const { what, figure } of table) assert.ok(stdout.includes(what) && stdout.includes(figure));
  assert.ok(figures.batcher.worstUs >= Math.max(...figures.batcher.cases.map(({ usPerItem }) => usPerItem)));
});

test('a command line that is not valid is refused with what there is, and nothing is measured', async () => {
  const unknown = await bench(['--only', 'engine,x']);
  assert.equal(unknown.code, 2);
  assert.equal(unknown.stdout, '');
  assert.match(unknown.stderr, /--only: there is no "x"/);
  const misspelt = await bench(['--quik']);
  assert.equal(misspelt.code, 2);
  assert.match(misspelt.stderr, /--quik/);
  for (const name of ['engine', 'batching', 'latency', 'batcher', 'memory', 'widths', 'graph'])
    assert.match(misspelt.stderr, new RegExp(`^ +[a-g], ${name} `, 'm'));
  const help = await bench(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /--quick/);
});

test('the bench of the queue has a command line of the same kind, with a time where something runs for one', async () => {
  const help = await bench(['--help'], 'bench:queue');
  assert.equal(help.code, 0, help.stderr);
  for (const name of ['jobs', 'latency', 'http', 'manifest', 'overload'])
    assert.match(help.stdout, new RegExp(`^ +[a-e], ${name} `, 'm'));
  assert.match(help.stdout, /--seconds <n>/);
  const short = await bench(['--seconds', '0'], 'bench:queue');
  assert.deepEqual([short.code, short.stdout], [2, '']);
  const untimed = await bench(['--seconds', '5']);
  assert.equal(untimed.code, 2);
  assert.match(untimed.stderr, /--seconds: nothing here runs for a time/);
});
