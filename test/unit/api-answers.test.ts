import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '@glyphmill/contract/id';
import { createJobSchema } from '@glyphmill/contract/request';
import type { JobRecord } from '@glyphmill/queue/job-record';
import { ConfigError } from '@glyphmill/service/config';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import fc from 'fast-check';
import { readApiConfig } from 'glyphmill-api/config';
import { etagOf, matchesEtag, pollAfterSeconds, toJob } from 'glyphmill-api/job-view';
import { Problem, problemBody } from 'glyphmill-api/problem';
import { createReadiness } from 'glyphmill-api/readiness';
import { chooseFormat } from 'glyphmill-api/result-format';
import { invalid } from 'glyphmill-api/validation';
import { Webhook } from 'standardwebhooks';

const source = { type: 's3', bucket: 'in-box', key: 'a.png' };

function problemOf(body: unknown) {
  const { error } = createJobSchema.safeParse(body);
  assert.ok(error);
  return problemBody(invalid(error, 'body'), { id: 'request-1', url: '/v1/jobs?secret=1' });
}

test('an unknown field is named by a pointer, also deep inside and with odd characters', () => {
  const body = problemOf({ source: { ...source, 'a/b~c': 1 }, options: { colour: 1 }, extra: 1 });
  assert.equal(body.status, 400);
  assert.equal(body.code, 'unknown-field');
  assert.deepEqual(body.errors?.map(({ pointer }) => pointer).sort(), [
    '/extra',
    '/options/colour',
    '/source/a~1b~0c',
  ]);
  assert.equal(body.instance, '/v1/jobs');
});

test('another fault is 422 and is named by a pointer, the value never shown', () => {
  const body = problemOf({ source: { ...source, bucket: 'SECRET_BUCKET' }, options: { pages: 'SECRET' } });
  assert.equal(body.status, 422);
  assert.deepEqual(
    body.errors?.map(({ pointer }) => pointer),
    ['/source/bucket', '/options/pages'],
  );
  assert.ok(!JSON.stringify(body).includes('SECRET'));
});

test('a thousand faults are answered with twenty, and a field name as long as the body is cut', () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field${index}`, 1]));
  assert.equal(problemOf({ source, ...many }).errors?.length, 20);
  assert.ok(JSON.stringify(problemOf({ source, ['x'.repeat(1_000_000)]: 1 })).length < 1000);
});

test('the format is the one asked for, then the one accepted, then JSON', () => {
  const cases: [asked: string | undefined, accept: string | undefined, format: string][] = [
    [undefined, undefined, 'json'],
    ['text', 'application/json', 'text'],
    ['json', 'text/plain', 'json'],
    [undefined, '*/*', 'json'],
    [undefined, 'text/plain', 'text'],
    [undefined, 'text/*', 'text'],
    [undefined, 'TEXT/PLAIN; charset=utf-8', 'text'],
    [undefined, 'application/json;q=0.2, text/plain;q=0.8', 'text'],
    [undefined, 'text/plain;q=0.2, */*', 'json'],
    [undefined, 'application/pdf, */*;q=0.1', 'json'],
    [undefined, 'application/json;q=0, */*', 'text'],
  ];
  for (const [asked, accept, format] of cases) assert.equal(chooseFormat(asked, accept), format, accept);
  for (const [asked, accept] of [
    ['pdf', undefined],
    ['', undefined],
    ['constructor', undefined],
    [undefined, 'application/pdf'],
    [undefined, 'text/plain;q=0'],
    [undefined, 'application/json;q=x'],
    [undefined, ''],
  ]) {
    assert.throws(() => chooseFormat(asked, accept), { code: 'format-not-available' }, asked ?? accept);
  }
});

test('choosing a format never fails but by its problem, whatever the header', () => {
  fc.assert(
    fc.property(fc.string(), (accept) => {
      try {
        assert.ok(['json', 'text'].includes(chooseFormat(undefined, accept)));
      } catch (error) {
        assert.ok(error instanceof Problem);
      }
    }),
  );
});

test('an ETag matches itself, weak or in a list, and changes with the job', () => {
  const job = toJob(record(), '');
  const etag = etagOf(job);
  assert.match(etag, /^"[\w-]{22}"$/);
  for (const header of [etag, `W/${etag}`, `"x", ${etag}`, '*']) assert.ok(matchesEtag(header, etag), header);
  for (const header of [undefined, '', '"x"', etag.slice(1)]) assert.ok(!matchesEtag(header, etag), header);
  assert.notEqual(etagOf(toJob({ ...record(), status: 'running' }, '')), etag);
});

test('a poll is worth it after a quarter of the job’s age, within 1 and 15 seconds, and never at its end', () => {
  const after = (ageMs: number) => pollAfterSeconds(record(), record().createdAtMs + ageMs);
  assert.deepEqual([-5000, 0, 20_000, 3_600_000].map(after), [1, 1, 5, 15]);
  assert.equal(pollAfterSeconds({ ...record(), status: 'failed' }, 0), undefined);
});

test('each tenant’s secret is another one, and the Standard Webhooks library takes it', () => {
  const root = 'r'.repeat(32);
  const secret = tenantWebhookSecret(root, 'acme');
  assert.equal(secret, tenantWebhookSecret(root, 'acme'));
  assert.notEqual(secret, tenantWebhookSecret(root, 'other'));
  assert.notEqual(secret, tenantWebhookSecret('s'.repeat(32), 'acme'));
  const webhook = new Webhook(secret);
  const headers = {
    'webhook-id': 'evt_1',
    'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    'webhook-signature': webhook.sign('evt_1', new Date(), '{}'),
  };
  assert.deepEqual(new Webhook(secret).verify('{}', headers), {});
});

test('readiness names what fails, tells callers no more than its kind, and asks once for all who ask', async () => {
  let pings = 0;
  const readiness = createReadiness({
    jobs: {
      ping: async () => {
        pings += 1;
        throw new TypeError('redis://user:secret@host');
      },
    },
    objects: { checkBucket: async () => {} },
    systemBucket: 'glyphmill',
  });
  const [found] = await Promise.all([readiness(), readiness()]);
  assert.deepEqual(found, {
    ready: false,
    checks: { redis: { ok: false, detail: 'TypeError' }, storage: { ok: true, detail: 'answers' } },
  });
  assert.equal(pings, 1);
});

test('every wrong setting is named at once, a secret one without its value', () => {
  const env = { WEBHOOK_SIGNING_KEY: 'short-secret', MAX_WAITING_JOBS: 'many', API_KEYS_FILE: 'keys.json' };
  assert.throws(
    () => readApiConfig(env),
    (error) =>
      error instanceof ConfigError &&
      /MAX_WAITING_JOBS is "many"/.test(error.message) &&
      /WEBHOOK_SIGNING_KEY is set: expected at least 32 characters/.test(error.message) &&
      /REDIS_URL is not set/.test(error.message) &&
      !error.message.includes('short-secret'),
  );
});

const id = newId('job');

function record(): JobRecord {
  const { source: _, deadline: __, ...task } = createJobSchema.parse({ source });
  return {
    id,
    tenant: 'acme',
    task: {
      ...task,
      modelVersion: null,
      webhook: null,
      timeoutSeconds: null,
      places: null,
      traceparent: null,
      document: { bucket: 'in-box', key: 'a.png', versionId: null, ifMatch: null },
      inline: null,
    },
    status: 'queued',
    batch: null,
    createdAtMs: 1_700_000_000_000,
    startedAtMs: null,
    finishedAtMs: null,
    expiresAtMs: null,
    deadlineMs: null,
    revision: 0,
    attempt: 0,
    progress: { pagesTotal: null, pagesDone: 0, pagesFailed: 0 },
    failure: null,
    warnings: [],
    usage: null,
    timings: null,
    resultObject: null,
  };
}
