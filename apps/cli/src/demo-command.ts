import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFinal, type Job } from '@glyphmill/contract/job';
import { modelListSchema } from '@glyphmill/contract/model';
import { type Result, resultSchema } from '@glyphmill/contract/result';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import { openObjectStore } from '@glyphmill/storage/object-store';
import { Command } from 'commander';
import { type ApiClient, openApiClient } from './api-client.ts';
import { CliError } from './cli-error.ts';
import { dataDirOption } from './data-dir.ts';
import { readBatchFigures } from './demo-metrics.ts';
import { type Receiver, startReceiver } from './demo-receiver.ts';
import { accuracyOf, type DemoReport, findProblems, renderReport, toRow } from './demo-report.ts';
import { loadSamples, type Sample } from './demo-samples.ts';
import { freePorts } from './free-ports.ts';
import { localTenant } from './local-secrets.ts';
import { type LocalSystem, startLocalSystem } from './local-system.ts';
import { openProgressLine } from './progress-line.ts';

const deadlineMs = 280_000;
const webhookDeadlineMs = 30_000;
const pollMs = 250;
/** Enough for all samples at once. */
const documentsInFlight = 48;

/** `npm run demo`: the whole system, the samples through it, and what came out. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('Bring up the system on free ports, read the sample documents with it, and report')
    .option('--json', 'print the report as one JSON object')
    .addOption(dataDirOption())
    .action(run);
}

async function run({ json, dataDir }: { json?: true; dataDir: string }): Promise<void> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const samples = loadSamples();
  const ownDir = await mkdtemp(join(tmpdir(), 'glyphmill-demo-'));
  const closers: (() => Promise<void>)[] = [() => rm(ownDir, { recursive: true, force: true })];
  const stop = async () => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  };
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => interrupted.abort(new CliError('failed', 'interrupted')));
  }
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(deadlineMs)]);
  try {
    const system = await startSystem({ ownDir, cacheDir: dataDir, say });
    closers.push(system.stop);
    const receiver = await startReceiver(tenantWebhookSecret(system.webhookSigningKey, localTenant));
    closers.push(receiver.close);
    const report = await runSamples(samples, { system, receiver, signal, say });
    await stop();
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : `\n${renderReport(report)}`);
    if (report.problems.length > 0) throw new CliError('failed', report.problems.join('; '));
  } finally {
    await stop();
  }
}

async function startSystem(options: {
  ownDir: string;
  cacheDir: string;
  say: (line: string) => void;
}): Promise<LocalSystem> {
  const [api = 0, s3 = 0, apiMetrics = 0, worker = 0, webhook = 0] = await freePorts(5);
  const { PATH, HOME, NODE_OPTIONS } = process.env;
  return startLocalSystem({
    dataDir: options.ownDir,
    cacheDir: options.cacheDir,
    ports: { api, s3, metrics: { api: apiMetrics, worker, webhook } },
    // The demo shows the embedded defaults, whatever is configured outside.
    env: { PATH, HOME, NODE_OPTIONS, DOCUMENTS_IN_FLIGHT: String(documentsInFlight) },
    say: options.say,
  });
}

interface Demo {
  system: LocalSystem;
  receiver: Receiver;
  signal: AbortSignal;
  say: (line: string) => void;
}

async function runSamples(samples: readonly Sample[], demo: Demo): Promise<DemoReport> {
  const { system, receiver } = demo;
  const client = openApiClient({ url: system.url, apiKey: system.apiKey });
  await upload(samples, demo);
  const startedMs = performance.now();
  const submitted = await Promise.all(samples.map((sample) => submit(sample, { client, system, receiver })));
  const ended = await follow(submitted, { client, demo });
  const seconds = (performance.now() - startedMs) / 1000;
  await waitForWebhooks(receiver, { expected: samples.length, signal: demo.signal });

  const results = await Promise.all(ended.map((job) => readResult(client, job)));
  const rows = samples.flatMap((sample, index) => {
    const job = ended[index];
    return job === undefined ? [] : [toRow(sample, { job, result: results[index] })];
  });
  const recognizer = await servedRecognizer(system);
  const lines = rows.reduce((sum, row) => sum + row.lines, 0);
  const deliveries = [...receiver.verified.values()];
  const summary = {
    documents: rows.length,
    succeeded: rows.filter(({ status }) => status === 'succeeded').length,
    seconds,
    documentsPerSecond: rows.length / seconds,
    linesPerSecond: lines / seconds,
    documentsInFlight: Math.min(documentsInFlight, rows.length),
    model: recognizer.name,
    provider: recognizer.provider,
    maxBatchSize: recognizer.maxBatchSize,
    batches: await readBatchFigures(system.metricsUrls.worker, recognizer.name),
    webhooks: {
      expected: rows.length,
      verified: receiver.verified.size,
      refused: receiver.refused,
      repeated: deliveries.filter((ids) => ids.size > 1).length,
    },
    accuracy: {
      latin: accuracyOf(rows, 'latin'),
      chinese: accuracyOf(rows, 'chinese'),
      mixed: accuracyOf(rows, 'mixed'),
    },
  };
  return { rows, summary, problems: findProblems({ rows, summary }) };
}

async function upload(samples: readonly Sample[], { system, signal, say }: Demo): Promise<void> {
  const { s3 } = system;
  if (s3 === undefined) throw new Error('expected the embedded S3 store');
  const store = openObjectStore({ ...s3, region: 'us-east-1', forcePathStyle: true });
  for (const { file, bytes } of samples) {
    await store.write({ bucket: s3.bucket, key: `samples/${file}` }, bytes, {
      contentType: 'application/octet-stream',
      signal,
    });
  }
  store.close();
  say(`${samples.length} samples are in the bucket "${s3.bucket}"; submitting them`);
}

async function submit(
  sample: Sample,
  { client, system, receiver }: { client: ApiClient; system: LocalSystem; receiver: Receiver },
): Promise<Job> {
  return client.submit({
    source: { type: 's3', bucket: system.s3?.bucket, key: `samples/${sample.file}` },
    mode: sample.mode,
    webhook: { url: receiver.url },
    metadata: { sample: sample.file },
  });
}

/** Polls the jobs until all have ended, and shows how far they are. */
async function follow(
  jobs: readonly Job[],
  { client, demo }: { client: ApiClient; demo: Demo },
): Promise<Job[]> {
  const progress = openProgressLine(process.stderr);
  const current = new Map(jobs.map((job) => [job.id, job]));
  const open = () => [...current.values()].filter(({ status }) => !isFinal(status));
  for (let waiting = open(); waiting.length > 0; waiting = open()) {
    demo.signal.throwIfAborted();
    for (const job of waiting) current.set(job.id, await client.job(job.id));
    const running = open().filter(({ status }) => status === 'running').length;
    const done = jobs.length - open().length;
    progress.show(
      `${done} of ${jobs.length} documents read, ${running} in hand, ${demo.receiver.verified.size} webhooks`,
    );
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  progress.done();
  return jobs.map(({ id }) => current.get(id)).filter((job) => job !== undefined);
}

async function waitForWebhooks(
  receiver: Receiver,
  { expected, signal }: { expected: number; signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + webhookDeadlineMs;
  while (receiver.verified.size < expected && performance.now() < deadline) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function readResult(client: ApiClient, job: Job): Promise<Result | undefined> {
  if (job.status !== 'succeeded') return undefined;
  return resultSchema.parse(JSON.parse(await client.result(job.id, 'json')));
}

async function servedRecognizer({ url, apiKey }: LocalSystem) {
  const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } });
  const { data } = modelListSchema.parse(await response.json());
  const recognizer = data.find(({ role }) => role === 'recognize');
  if (recognizer === undefined) throw new CliError('failed', 'no worker serves a recogniser');
  return recognizer;
}
