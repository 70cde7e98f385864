// Every code that a caller may be answered with, and every one that a job may fail with, has a test that provokes it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { FailureCode } from '@glyphmill/contract/failure';
import { type ProblemCode, problems } from '@glyphmill/contract/problem';
import { connectConsumer } from '@glyphmill/queue/connection';
import { startConsumer } from '@glyphmill/queue/consumer';
import type { AttemptReport } from '@glyphmill/queue/job-run';
import { keysOf } from '@glyphmill/queue/keys';
import { type Api, type Stores, startApi, startStores } from './api-setup.ts';
import { until } from './queue-setup.ts';

let stores: Stores;
let api: Api;
before(async () => {
  stores = await startStores();
  api = await startApi(stores);
});
after(async () => {
  await api.close();
  await stores.stop();
});

/** Where each is provoked over HTTP; the types leave none out. */
const problemTests: Record<ProblemCode, string> = {
  'invalid-request': 'integration/api-problems',
  'invalid-json': 'integration/api-problems',
  'invalid-idempotency-key': 'integration/api-life',
  'unknown-field': 'integration/api-problems',
  unauthenticated: 'integration/api-problems',
  'insufficient-scope': 'integration/api-problems',
  'source-not-allowed': 'integration/api-problems',
  'address-not-allowed': 'integration/api-problems',
  'not-found': 'integration/api-problems',
  'format-not-available': 'integration/api-results',
  'job-not-finished': 'integration/api-results',
  'job-canceled': 'integration/api-life',
  'invalid-state': 'integration/api-life',
  'idempotency-in-progress': 'integration/api-life',
  'page-failed': 'integration/live-pages',
  'job-failed': 'integration/api-life',
  'endpoint-limit-reached': 'integration/api-webhooks',
  'result-expired': 'integration/api-results',
  'payload-too-large': 'integration/api-problems',
  'unsupported-media-type': 'integration/api-problems',
  'validation-failed': 'integration/api-jobs',
  'idempotency-key-reused': 'integration/api-life',
  'unknown-model': 'integration/api-jobs',
  'quota-exceeded': 'integration/api-quota',
  'queue-full': 'integration/api-problems',
  'too-many-streams': 'integration/api-events',
  'queue-unavailable': 'integration/api-problems',
  'storage-unavailable': 'integration/api-problems',
  'request-timeout': 'integration/api-problems',
  internal: 'integration/api-codes',
};

/** Where what raises each is run, and what it raised is looked at. */
const failureTests: Record<FailureCode, string> = {
  'source-not-found': 'integration/object-store',
  'source-bucket-not-found': 'e2e/faults',
  'source-access-denied': 'faults/rows-s3',
  'source-changed': 'integration/object-store',
  'source-unavailable': 'faults/rows-s3',
  'source-timeout': 'faults/rows-s3',
  'empty-document': 'integration/engine',
  'unsupported-document': 'integration/engine',
  'corrupt-document': 'integration/engine',
  'image-too-large': 'integration/engine',
  'too-many-pages': 'integration/engine',
  'document-too-large': 'integration/object-store',
  'invalid-page-range': 'integration/engine',
  'decode-crashed': 'faults/rows-decoder',
  'decode-timeout': 'integration/engine',
  'decode-out-of-memory': 'integration/engine',
  'model-error': 'integration/engine-pages',
  'model-unavailable': 'integration/job-versions',
  'destination-failed': 'faults/rows-s3',
  timeout: 'integration/live-pages',
  'deadline-exceeded': 'integration/cancel',
  'worker-lost': 'faults/rows-killed',
  'invalid-job': 'integration/queue-consumer',
  internal: 'integration/api-codes',
};

function textOf(name: string): string {
  const file = name.startsWith('faults/') ? `${name}.ts` : `${name}.test.ts`;
  return readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
}

test('each problem is asserted by the test that is said to provoke it', () => {
  const missing = Object.entries(problemTests).filter(
    ([code, name]) => !new RegExp(`(refused\\(\\s*|[cC]ode, )'${code}'`).test(textOf(name)),
  );
  assert.deepEqual(missing, []);
  assert.deepEqual(Object.keys(problemTests).sort(), Object.keys(problems).sort());
});

test('each failure is named in an expectation of the test that is said to provoke it', () => {
  const missing = Object.entries(failureTests).filter(([code, name]) => {
    // Alone, or behind what became of the attempt or the page: 'failed timeout', '2 failed timeout'.
    const named = new RegExp(`'((\\d )?(failed|retried) )?${code}'`);
    return !textOf(name)
      .split('\n')
      .some((line) => named.test(line) && !line.includes('promise:') && !line.includes('retryable:'));
  });
  assert.deepEqual(missing, []);
});

test('a record that is none is internal to whoever asks for its job, who is told nothing of it', async () => {
  const caller = api.caller();
  const { id } = await caller.submit();
  const redis = connectConsumer(api.address.url, () => {});
  try {
    const record = keysOf(api.address.shard).record(id);
    await redis.set(record, 'CANARY');
  } finally {
    redis.disconnect();
  }
  const problem = await caller.refused('internal', 'GET', `/v1/jobs/${id}`);
  assert.deepEqual([problem.status, problem.retryable], [500, false]);
  assert.doesNotMatch(JSON.stringify(problem), /CANARY|WRONGTYPE|hash/i);
});

test('an error that nobody foresaw fails the attempt as internal, without its words, and is tried again', async () => {
  const reports: AttemptReport[] = [];
  const caller = api.caller();
  const { id } = await caller.submit();
  const consumer = await startConsumer({
    address: api.address,
    concurrency: 1,
    handler: async () => {
      throw new TypeError('CANARY is not a function');
    },
    models: () => [],
    onAttempt: (report) => reports.push(report),
    onWarning: () => {},
  });
  try {
    const { ended, failure } = await until('the attempt', () =>
      reports.find(({ attempt }) => attempt.jobId === id),
    );
    assert.equal(ended, 'retried');
    assert.equal(failure?.code, 'internal');
    assert.doesNotMatch(`${failure?.message}`, /CANARY/);
  } finally {
    await consumer.close(0);
  }
});
