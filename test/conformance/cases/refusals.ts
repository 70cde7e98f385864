import type { Case } from '../case.ts';

const document = { bytes: 'say x' };

/** What the API refuses, and how clients tell. */
export const refusalCases: Case[] = [
  {
    name: 'a key that is not known',
    steps: [{ do: 'jobs.create', input: document, key: 'wrong' }],
    expect: { error: { code: 'unauthenticated', status: 401 } },
  },
  {
    name: 'a key that may not do that',
    steps: [{ do: 'jobs.create', input: document, key: 'reader' }],
    expect: { error: { code: 'insufficient-scope', status: 403 } },
  },
  {
    name: 'an object that the key may not name',
    steps: [{ do: 'jobs.create', input: { s3: 's3://$bucket/$prefix/theirs/a.png' }, key: 'narrow' }],
    expect: { error: { code: 'source-not-allowed', status: 403 } },
  },
  {
    name: 'an option that does not exist',
    steps: [{ do: 'jobs.create', input: document, options: { options: { bogus: true } } }],
    expect: { error: { code: 'unknown-field', status: 400 } },
  },
  {
    name: 'a value that is not allowed',
    steps: [{ do: 'jobs.create', input: document, options: { ttlSeconds: 1 } }],
    expect: { error: { code: 'validation-failed', status: 422 } },
  },
  {
    name: 'a model that nobody serves',
    steps: [{ do: 'jobs.create', input: document, options: { model: 'imaginary' } }],
    expect: { error: { code: 'unknown-model' } },
  },
  {
    name: 'a deadline that has passed',
    steps: [{ do: 'jobs.create', input: document, options: { deadline: '2020-01-01T00:00:00Z' } }],
    expect: { error: { code: 'validation-failed' } },
  },
  {
    name: 'a webhook to an address that is not public',
    steps: [{ do: 'jobs.create', input: document, options: { webhook: { url: 'https://127.0.0.1/hook' } } }],
    expect: { error: { code: 'address-not-allowed', status: 403 } },
  },
  {
    name: 'an upload that was never made',
    steps: [
      { do: 'uploads.create', as: 'upload' },
      { do: 'jobs.create', input: { source: { type: 'upload', uploadId: '$upload.uploadId' } } },
    ],
    expect: { error: { code: 'validation-failed' } },
  },
  {
    name: 'a key of idempotency that cannot be one',
    steps: [{ do: 'jobs.create', input: document, options: { idempotencyKey: 'two words' } }],
    expect: { error: { code: 'invalid-idempotency-key', status: 400 } },
  },
  {
    name: 'the same key of idempotency for another request',
    steps: [
      { do: 'jobs.create', input: document, options: { idempotencyKey: 'k1' } },
      { do: 'jobs.create', input: { bytes: 'say other' }, options: { idempotencyKey: 'k1' } },
    ],
    expect: { error: { code: 'idempotency-key-reused', status: 422 } },
  },
  {
    name: 'the same key of idempotency for the same request gives the same job',
    steps: [
      { do: 'jobs.create', input: document, options: { idempotencyKey: 'k1' }, as: 'first' },
      { do: 'jobs.create', input: document, options: { idempotencyKey: 'k1' }, as: 'second' },
    ],
    expect: { same: [['$first.id', '$second.id']] },
  },
  {
    name: 'each call has a key of idempotency of its own',
    steps: [
      { do: 'jobs.create', input: document, as: 'first' },
      { do: 'jobs.create', input: document, as: 'second' },
    ],
    expect: { different: [['$first.id', '$second.id']] },
  },
  {
    name: 'the same for batches',
    steps: [
      { do: 'batches.create', items: [{ input: document }], options: { idempotencyKey: 'b1' }, as: 'first' },
      { do: 'batches.create', items: [{ input: document }], options: { idempotencyKey: 'b1' }, as: 'second' },
    ],
    expect: { same: [['$first.id', '$second.id']] },
  },
  {
    name: 'a cursor that is none',
    steps: [{ do: 'jobs.list', options: { createdAfter: 'yesterday' } }],
    expect: { error: { code: 'validation-failed' } },
  },
  {
    name: 'a code of a newer API is told as it is',
    script: [
      {
        status: 418,
        json: {
          type: '',
          title: 'New',
          status: 418,
          code: 'brand-new',
          detail: 'why',
          instance: '',
          requestId: 'r1',
          retryable: false,
        },
      },
    ],
    steps: [{ do: 'jobs.get', id: 'job_1' }],
    expect: { error: { code: 'brand-new', name: 'ProblemError', status: 418 }, seen: [{}] },
  },
  {
    name: 'an answer of something that is not the API',
    script: [{ status: 404, text: '<h1>nginx</h1>' }],
    steps: [{ do: 'jobs.get', id: 'job_1' }],
    expect: { error: { code: 'http-404', name: 'ProblemError', status: 404 } },
  },
  {
    name: 'a page in place of an answer',
    script: [{ text: '<h1>Sign in</h1>' }],
    steps: [{ do: 'jobs.get', id: 'job_1' }],
    expect: { error: { name: 'ConnectionError' }, seen: [{}] },
    not: { curl: 'it takes what it gets' },
  },
  {
    name: 'a redirect is not followed, so that the key goes nowhere else',
    script: [{ status: 307, headers: { location: '$base/elsewhere' } }, { json: { object: 'job' } }],
    steps: [{ do: 'jobs.get', id: 'job_1' }],
    expect: { error: { name: 'RedirectError' }, seen: [{ path: '/v1/jobs/job_1' }] },
  },
];
