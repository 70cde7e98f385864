// One job followed from the request to its webhook, in the running system; and what must be seen in none of its logs,
// metrics and spans.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startRedis } from '@glyphmill/embedded/redis';
import { connectConsumer } from '@glyphmill/queue/connection';
import { listen } from '@glyphmill/service/listen';
import { freePorts } from 'glyphmill-cli/free-ports';
import { repositoryRoot, startTestSystem, type TestSystem } from '../e2e/system.ts';
import { allSettings } from '../fixtures/configuration-table.ts';
import { until } from '../integration/queue-setup.ts';
import { type Collector, type ReceivedSpan, startCollector } from './collector.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callersSpan = '00f067aa0ba902b7';
const canary = (name: string) => `canary-${name}-q7Zx3Vw9-and-long-enough-for-any-key`;
const secrets = {
  WEBHOOK_SIGNING_KEY: canary('signing'),
  WEBHOOK_PREVIOUS_SIGNING_KEY: canary('previous'),
  OTEL_EXPORTER_OTLP_HEADERS: `authorization=${canary('collector')}`,
};
const redisPassword = 'canary-redis-q7Zx3Vw9';

let dir: string;
let redis: Awaited<ReturnType<typeof startRedis>>;
let collector: Collector;
let system: TestSystem;
let jobId: string;
let lines: string[];
let received = 0;
const receiver = createServer((_request, response) => {
  received += 1;
  response.writeHead(received === 1 ? 503 : 204).end();
});

before(
  async () => {
    dir = await mkdtemp(join(tmpdir(), 'glyphmill-traces-'));
    const [redisPort = 0] = await freePorts(1);
    const cacheDir = join(repositoryRoot, '.glyphmill/cache');
    redis = await startRedis({ dir: join(dir, 'redis'), cacheDir, port: redisPort });
    const admin = connectConsumer(redis.url, () => {});
    await admin.config('SET', 'requirepass', redisPassword);
    admin.disconnect();
    collector = await startCollector();
    system = await startTestSystem({
      REDIS_URL: `redis://:${redisPassword}@127.0.0.1:${redisPort}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      LOG_LEVEL: 'debug',
      ...secrets,
    });
    const port = await listen(receiver, { host: '127.0.0.1', port: 0 });
    const webhook = { url: `http://127.0.0.1:${port}/hook?token=${canary('hook')}` };
    await system.put('page.png', await readFile(join(repositoryRoot, 'test/fixtures/samples/letter.png')));
    await system.put('noise.png', Buffer.from(`this is no image, but ${canary('noise')}`));
    const submit = async (key: string, headers: Record<string, string> = {}) => {
      const source = { type: 's3', bucket: system.bucket, key };
      const body = JSON.stringify({ source, webhook, metadata: { note: canary('metadata') } });
      const answer = await system.call('/v1/jobs', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      assert.equal(answer.status, 202);
      return String(/"id":"(job_\w+)"/.exec(await answer.text())?.[1]);
    };
    jobId = await submit('page.png', {
      traceparent: `00-${traceId}-${callersSpan}-01`,
      'idempotency-key': canary('idempotency'),
    });
    const others = [await submit('noise.png'), await submit('missing.png')];
    const ended = await Promise.all([jobId, ...others].map((id) => system.ended(id, 60_000)));
    assert.deepEqual(
      ended.map(({ status }) => status),
      ['succeeded', 'failed', 'failed'],
    );
    await system.call('/v1/jobs/none', {
      headers: { authorization: `Bearer gm_abcdef123456_${canary('key')}` },
    });
    lines = (await system.result(jobId)).pages.flatMap((page) => page.lines ?? []).map(({ text }) => text);
    await until('the delivery is traced', () => inTrace().some(({ name }) => name === 'deliver'), 30_000);
    await until('the attempt is traced', () => inTrace().some(({ name }) => name === 'attempt'), 30_000);
  },
  { timeout: 180_000 },
);
after(async () => {
  receiver.close();
  await system?.close();
  collector?.close();
  await redis?.stop();
  await rm(dir, { recursive: true, force: true });
});

const inTrace = () => collector.spans().filter((span) => span.traceId === traceId);
function only(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const named = spans.filter((span) => span.name === name);
  assert.equal(named.length, 1, `one span ${name} among ${spans.map((span) => span.name).join(', ')}`);
  return named[0] ?? assert.fail();
}

test('one trace of one job shows every stage, from the caller’s span to the delivery of its webhook', () => {
  const spans = inTrace();
  const request = only(spans, 'POST /v1/jobs');
  const submit = only(spans, 'submit');
  const attempt = only(spans, 'attempt');
  assert.equal(request.parentSpanId, callersSpan);
  assert.equal(submit.parentSpanId, request.spanId);
  for (const name of ['queue', 'attempt']) assert.equal(only(spans, name).parentSpanId, submit.spanId, name);
  for (const name of ['fetch', 'decode', 'detect', 'crop', 'recognize', 'assemble', 'keep', 'commit'])
    assert.equal(only(spans, name).parentSpanId, attempt.spanId, name);
  const deliveries = spans.filter(({ name }) => name === 'deliver');
  assert.ok(deliveries.length >= 1 && deliveries.every(({ parentSpanId }) => parentSpanId === submit.spanId));
  assert.deepEqual([...new Set(spans.map(({ service }) => service))].sort(), [
    'glyphmill-api',
    'glyphmill-webhook',
    'glyphmill-worker',
  ]);
  for (const { name, startTimeUnixNano, endTimeUnixNano } of spans)
    assert.ok(endTimeUnixNano >= startTimeUnixNano, name);
  const order = ['queue', 'fetch', 'decode', 'detect', 'crop', 'recognize', 'assemble', 'keep', 'commit'];
  const starts = order.map((name) => only(spans, name).startTimeUnixNano);
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => (a < b ? -1 : 1)),
  );
});

test('micro-batches are traces of their own, linked with the pages whose items they ran, both ways', () => {
  const spans = inTrace();
  const batches = collector.spans().filter(({ name }) => name === 'micro-batch');
  for (const stage of ['detect', 'recognize']) {
    const { spanId } = only(spans, stage);
    const infers = spans.filter(({ name, parentSpanId }) => name === 'infer' && parentSpanId === spanId);
    assert.ok(infers.length > 0, stage);
    const linkedBatches = batches.filter(({ links }) => links.some((link) => link.spanId === spanId));
    assert.deepEqual(
      infers.flatMap(({ links }) => links.map((link) => link.spanId)).sort(),
      linkedBatches.map((batch) => batch.spanId).sort(),
    );
    assert.ok(linkedBatches.every((batch) => batch.traceId !== traceId && batch.parentSpanId === undefined));
  }
});

async function logs(): Promise<string> {
  const names = await readdir(system.system.logDir);
  assert.ok(names.length >= 3);
  return (await Promise.all(names.map((name) => readFile(join(system.system.logDir, name), 'utf8')))).join(
    '',
  );
}

test('log lines of the request, the attempt and the delivery carry the trace id, and that of the attempt the job’s', async () => {
  const entries = (await logs()).split('\n').filter((line) => line.includes(traceId));
  const message = (service: string, msg: string) =>
    entries.find((line) => line.includes(`"service":"${service}"`) && line.includes(`"msg":"${msg}"`));
  assert.ok(message('api', 'request answered'));
  assert.match(message('worker', 'attempt ended') ?? '', new RegExp(`"jobId":"${jobId}"`));
  assert.ok(message('webhook', 'delivery attempt'));
});

test('the collector got the header that the setting names', () => {
  assert.deepEqual([...collector.authorizations()], [canary('collector')]);
});

test('no text of a document and no secret is in a log line, a metric or a span', async () => {
  const { s3, apiKey, metricsUrls } = system.system;
  const metrics = await Promise.all(Object.values(metricsUrls).map(async (url) => (await fetch(url)).text()));
  const seen = { logs: await logs(), metrics: metrics.join(''), spans: collector.raw() };
  const given = {
    REDIS_URL: redisPassword,
    S3_ACCESS_KEY_ID: s3?.accessKeyId,
    S3_SECRET_ACCESS_KEY: s3?.secretAccessKey,
    ...secrets,
    OTEL_EXPORTER_OTLP_HEADERS: canary('collector'),
  };
  const all = [...allSettings()].flatMap(([env, { setting }]) => (setting.secret ? [env] : []));
  assert.deepEqual(Object.keys(given).sort(), all.sort(), 'a canary for each secret setting');
  const hidden = [
    ...Object.values(given),
    apiKey,
    ...['key', 'hook', 'noise', 'metadata', 'idempotency'].map(canary),
    ...lines.filter((line) => line.length >= 8),
  ];
  assert.ok(hidden.length > 20, 'the document has lines to look for');
  for (const [where, text] of Object.entries(seen)) {
    assert.ok(text.length > 1000, where);
    for (const value of hidden) {
      assert.ok(value !== undefined && value.length > 7);
      assert.ok(!text.includes(value), `${value} is in the ${where}`);
    }
  }
});
