import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { jobListSchema } from '@glyphmill/contract/job';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import { type Receiver, startReceiver } from 'glyphmill-cli/demo-receiver';
import { localTenant } from 'glyphmill-cli/local-secrets';
import sharp from 'sharp';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { watchPeakRss } from './memory.ts';
import { startTestSystem, type TestSystem } from './system.ts';

const sample = (file: string) => readFileSync(`${samplesFolder}${file}`);
let running: TestSystem;
let receiver: Receiver;

before(async () => {
  running = await startTestSystem();
  receiver = await startReceiver(tenantWebhookSecret(running.system.webhookSigningKey, localTenant));
});
after(async () => {
  await receiver?.close();
  await running?.close();
});

/** What the README states for a worker on 2 cores. */
const workerBoundBytes = 3e9;

const s3 = (key: string, bucket = running.bucket) => ({ type: 's3', bucket, key });

test('each bad document ends with its own code within 10 s while its neighbours succeed', async () => {
  const letter = sample('notice.png');
  const corrupt = Buffer.from(letter);
  corrupt.fill(0, 2000, 6000);
  // One colour compresses to nothing: 900 megapixels in a file of a few MB, never decoded.
  const huge = await sharp({
    create: { width: 30_000, height: 30_000, channels: 3, background: '#fff' },
    limitInputPixels: false,
  })
    .png({ compressionLevel: 9 })
    .toBuffer();
  await running.put('good.png', letter);
  await running.put('corrupt.png', corrupt);
  await running.put('text.png', Buffer.from('This is a text file and no picture.\n'));
  await running.put('huge.png', huge);

  const bad = {
    'corrupt-document': s3('corrupt.png'),
    'unsupported-document': s3('text.png'),
    'source-not-found': s3('missing.png'),
    'source-bucket-not-found': s3('good.png', 'nobody-has-this-bucket'),
    'image-too-large': s3('huge.png'),
  };
  const peak = watchPeakRss(() => running.system.pids().worker);
  const submitted = await Promise.all([
    ...Object.entries(bad).map(async ([code, source]) => ({ code, job: await running.submit({ source }) })),
    ...[1, 2, 3].map(async () => ({ code: null, job: await running.submit({ source: s3('good.png') }) })),
  ]);
  for (const { code, job } of submitted) {
    const ended = await running.ended(job.id, code === null ? 60_000 : 10_000);
    assert.equal(ended.error?.code ?? null, code);
    assert.equal(ended.status, code === null ? 'succeeded' : 'failed');
    if (code !== null) assert.equal(ended.error?.retryable, false);
  }
  const peakBytes = peak.stop();
  assert.ok(peakBytes > 100e6 && peakBytes < workerBoundBytes, `the worker took ${peakBytes / 1e6} MB`);
});

test('a worker killed twice in the middle loses no job, and every end is told under one webhook-id', async () => {
  const files = ['line-english.png', 'line-code.png', 'line-chinese.png', 'line-digits.png', 'zh-sign.webp'];
  for (const file of files) await running.put(file, sample(file));
  const jobs = await Promise.all(
    Array.from({ length: 60 }, (_, index) => {
      const file = files[index % files.length] ?? '';
      const mode = file.startsWith('line') ? 'line' : 'document';
      return running.submit({ source: s3(file), mode, webhook: { url: receiver.url } });
    }),
  );
  for (let kill = 0; kill < 2; kill += 1) {
    await untilSome(async () => (await count('running')) > 0, 60_000);
    const { worker } = running.system.pids();
    assert.ok(worker);
    process.kill(worker, 'SIGKILL');
    await untilSome(async () => running.system.pids().worker !== worker, 20_000);
  }

  for (const { id } of jobs) {
    const job = await running.ended(id, 180_000);
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    assert.equal((await running.result(id)).jobId, id);
  }
  await untilSome(async () => jobs.every(({ id }) => receiver.verified.has(id)), 30_000);
  for (const { id } of jobs) assert.equal(receiver.verified.get(id)?.size, 1, `${id} has one webhook-id`);
  assert.equal(receiver.refused, 0);
});

async function count(status: string): Promise<number> {
  const response = await running.call(`/v1/jobs?status=${status}&limit=100`);
  return jobListSchema.parse(await response.json()).data.length;
}

async function untilSome(holds: () => Promise<boolean>, deadlineMs: number): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `did not happen within ${deadlineMs} ms: ${holds}`);
    await delay(50);
  }
}
