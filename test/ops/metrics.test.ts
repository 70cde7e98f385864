// The running system, scraped by a real Prometheus: each expression of the dashboard and of the alerts must find the
// metrics that it is made of.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { listen } from '@glyphmill/service/listen';
import { repositoryRoot, startTestSystem, type TestSystem } from '../e2e/system.ts';
import { until } from '../integration/queue-setup.ts';
import { readAlerts } from './alert-rules.ts';
import { readPanels } from './dashboard.ts';
import { findPrometheus } from './prometheus.ts';
import { type PrometheusServer, startPrometheus } from './prometheus-server.ts';

const found = await findPrometheus().catch((error: Error) => error);
const skip = found instanceof Error ? `no Prometheus: ${found.message}` : false;

/** What an operator is promised, by the names of the design. */
const promised = [
  'ocr_stage_duration_seconds',
  'ocr_job_duration_seconds',
  'ocr_batch_size',
  'ocr_batch_queue_delay_seconds',
  'ocr_batches_total',
  'ocr_items_total',
  'ocr_inference_instances',
  'ocr_queue_jobs',
  'ocr_oldest_waiting_age_seconds',
  'ocr_backlog_seconds',
  'ocr_admission_refused_total',
  'ocr_webhook_deliveries_total',
  'ocr_webhook_oldest_age_seconds',
  'ocr_dead_letters_total',
  'ocr_model_info',
];

/** Expressions that have no value while all is well, and why. */
const emptyByDesign: Record<string, string> = {
  'absent(ocr_backlog_seconds)': 'absent() has a value only where the metric has none',
};

let system: TestSystem;
let server: PrometheusServer;
let texts: string[];
// The first delivery fails, so that there are causes of failure to show.
let answers = 0;
const receiver = createServer((_request, response) => {
  answers += 1;
  response.writeHead(answers === 1 ? 500 : 204).end();
});

before(
  async () => {
    if (found instanceof Error) return;
    const port = await listen(receiver, { host: '127.0.0.1', port: 0 });
    system = await startTestSystem();
    const { api, worker, webhook } = system.system.metricsUrls;
    server = await startPrometheus(found.prometheus, {
      'glyphmill-api': api,
      'glyphmill-worker': worker,
      'glyphmill-webhook': webhook,
    });
    const webhookUrl = { url: `http://127.0.0.1:${port}/` };
    await system.put('page.png', await readFile(join(repositoryRoot, 'test/fixtures/samples/notice.png')));
    await system.put('noise.png', Buffer.from('this is no image'));
    const jobs = ['page.png', 'noise.png', 'page.png'].map((key) => ({
      source: { type: 's3', bucket: system.bucket, key },
      webhook: webhookUrl,
      cache: 'bypass',
    }));
    const ended = await Promise.all(
      jobs.map(async (job) => system.ended((await system.submit(job)).id, 60_000)),
    );
    assert.deepEqual(
      ended.map(({ status }) => status),
      ['succeeded', 'failed', 'succeeded'],
    );
    assert.equal((await system.call('/v1/jobs/none')).status, 404);
    await until('the receiver was told', () => answers >= 3, 30_000);
    texts = await Promise.all([api, worker, webhook].map(async (url) => (await fetch(url)).text()));
  },
  { timeout: 180_000 },
);
after(async () => {
  receiver.close();
  await server?.stop();
  await system?.close();
});

test('every metric that was promised is there under its name', { skip }, () => {
  const all = texts.join('\n');
  for (const name of promised) assert.match(all, new RegExp(`^${name}(_bucket)?\\{`, 'm'));
});

test('promtool finds nothing to complain of in our metrics', { skip }, async () => {
  assert.ok(!(found instanceof Error));
  for (const text of texts) {
    const ours = text
      .split('\n\n')
      .filter((family) => /^# HELP (ocr|http)_/.test(family))
      .join('\n\n');
    const checking = promisify(execFile)(found.promtool, ['check', 'metrics']);
    checking.child.stdin?.end(`${ours}\n`);
    await checking;
  }
});

/** Waits until Prometheus has a value; rates need two scrapes, and some of the jobs between them. */
async function hasData(expression: string, what: string): Promise<void> {
  await until(`${what}: ${expression} has data`, async () => (await server.count(expression)) > 0, 30_000);
}

test('every expression of the dashboard returns data', { skip }, async () => {
  const panels = readPanels().filter(({ type }) => type !== 'row');
  assert.ok(panels.length > 20);
  for (const { title, targets, description } of panels) {
    assert.ok(description && targets.length > 0, title);
    for (const { expr } of targets) await hasData(expr.replaceAll('$__rate_interval', '5m'), title);
  }
});

test('every expression of the alerts returns data once what it compares is shown whatever it is', {
  skip,
}, async () => {
  for (const { alert, expr } of readAlerts()) {
    if (emptyByDesign[expr] !== undefined) assert.equal(await server.count(expr), 0, emptyByDesign[expr]);
    // With `bool` a comparison that does not hold is 0 instead of nothing.
    else await hasData(expr.replace(/ (<=|>=|==|!=|<|>) /g, ' $1 bool '), alert);
  }
});

test('Prometheus evaluates every rule, and none fires in a healthy system', { skip }, async () => {
  const names = readAlerts().map(({ alert }) => alert);
  const rules = await until('all rules were evaluated', async () => {
    const all = await server.rules();
    return all.length === names.length && all.every(({ health }) => health !== 'unknown') && all;
  });
  assert.deepEqual(
    rules.filter(({ health }) => health !== 'ok'),
    [],
  );
  assert.equal(await server.count('ALERTS{alertstate="firing"}'), 0);
});

test('the commands of docs/operations.md work as they are pasted', { skip }, async () => {
  const guide = await readFile(join(repositoryRoot, 'docs/operations.md'), 'utf8');
  const blocks = [...guide.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  assert.equal(blocks.length, 2);
  const key = `$(node -p "require('./.glyphmill/secrets.json').apiKey")`;
  const script = blocks
    .join('')
    .replace(key, system.system.apiKey)
    .replace('http://127.0.0.1:8080', system.system.url);
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: repositoryRoot,
    maxBuffer: 10_000_000,
  });
  assert.match(stdout, /^\{"object":"queue","name":"documents".*"paused":true/m);
  assert.match(stdout, /^\{"object":"queue","name":"documents".*"paused":false/m);
  assert.match(stdout, /^\{"object":"queue\.scaling".*"desiredReplicas":0\}$/m);
  assert.match(stdout, /"status":"failed"/);
  assert.match(stdout, /^longest wait +2:40: the objective of 10:00 is met$/m);
  assert.match(stdout, /^cost +15\.7\d pod-hours$/m);
  assert.match(stdout, /^\{ seconds: 300, isMet: true \}$/m);
});

test('the panels of the dashboard have ids of their own and lie beside and below each other', () => {
  const panels = readPanels();
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = panels.flatMap(({ title, gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, n) => ({ title, cell: `${x + (n % w)},${y + Math.floor(n / w)}` })),
  );
  const taken = new Set<string>();
  for (const { title, cell } of cells) {
    assert.ok(!taken.has(cell), `${title} covers another panel`);
    taken.add(cell);
  }
  assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
});
