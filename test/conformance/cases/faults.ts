import type { Case, Reply } from '../case.ts';

const document = { bytes: 'say x' };
const job = { object: 'job', id: 'job_1', status: 'queued' };
const accepted: Reply = { status: 202, json: job };
const ended: Reply = { json: { ...job, status: 'succeeded' } };
const running: Reply = { json: { ...job, status: 'running' } };
const noEvents: Reply = { status: 501, text: 'no streams through here' };
const asks = 'it asks for no events';

function problem(status: number, code: string, headers: Record<string, string> = {}): Reply {
  const body = {
    type: '',
    title: code,
    status,
    code,
    detail: 'why',
    instance: '',
    requestId: 'r1',
    retryable: status >= 429,
  };
  return { status, headers, json: body };
}

const event = (id: number, type: string, status: string) =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify({ ...job, status })}\n\n`;
const stream = (text: string, rest: Reply = {}): Reply => ({
  text,
  headers: { 'content-type': 'text/event-stream' },
  ...rest,
});

/** What goes wrong on the way, and what clients do about it. */
export const faultCases: Case[] = [
  {
    name: 'a full queue is come back to when it said, as the same request',
    script: [problem(503, 'queue-full', { 'retry-after': '1' }), accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: {
      value: { id: 'job_1' },
      seen: [{ method: 'POST' }, { method: 'POST' }],
      sameIdempotencyKey: true,
      leastMs: 990,
      mostMs: 3000,
    },
  },
  {
    name: 'a quota that is used up is come back to when it said',
    script: [problem(429, 'quota-exceeded', { 'retry-after': '1' }), accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { value: { id: 'job_1' }, seen: [{}, {}], leastMs: 990, mostMs: 3000 },
  },
  {
    name: 'a gateway without an API behind it is asked again',
    script: [{ status: 502, text: '<h1>Bad Gateway</h1>' }, accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { value: { id: 'job_1' }, seen: [{}, {}], sameIdempotencyKey: true },
  },
  {
    name: 'a connection that breaks is made anew, for the same request',
    script: [{ reset: 'before' }, accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { value: { id: 'job_1' }, seen: [{}, {}], sameIdempotencyKey: true },
  },
  {
    name: 'an answer that breaks off is asked for again',
    script: [{ text: '{"object":"job",', reset: 'within' }, accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { value: { id: 'job_1' }, seen: [{}, {}], sameIdempotencyKey: true },
  },
  {
    name: 'connections that break again and again are an error in the end',
    script: [{ reset: 'before' }],
    client: { maxRetries: 2 },
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { name: 'ConnectionError' }, seen: [{}, {}, {}] },
  },
  {
    name: 'an answer that does not come in time is asked for again',
    script: [{ ...accepted, delayMs: 3000 }, accepted],
    client: { timeoutMs: 1000 },
    steps: [{ do: 'jobs.create', input: document }],
    expect: { value: { id: 'job_1' }, seen: [{}, {}], sameIdempotencyKey: true },
  },
  {
    name: 'answers that never come in time are an error in the end',
    script: [{ ...accepted, delayMs: 3000 }],
    client: { timeoutMs: 700, maxRetries: 1 },
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { name: 'TimeoutError' }, seen: [{}, {}] },
  },
  {
    name: 'a queue that stays full is an error in the end',
    script: [problem(503, 'queue-full')],
    client: { maxRetries: 1 },
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { code: 'queue-full', status: 503 }, seen: [{}, {}] },
  },
  {
    name: 'nobody is held up for longer than a minute',
    script: [problem(503, 'queue-unavailable', { 'retry-after': '3600' })],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { code: 'queue-unavailable' }, seen: [{}], mostMs: 1000 },
  },
  {
    name: 'without retries there is one request',
    script: [problem(503, 'queue-full'), accepted],
    client: { maxRetries: 0 },
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { code: 'queue-full' }, seen: [{}] },
  },
  {
    name: 'what is wrong stays wrong, and is not sent again',
    script: [problem(422, 'validation-failed'), accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { code: 'validation-failed' }, seen: [{}] },
  },
  {
    name: 'an unexpected error of the API is not sent again',
    script: [problem(500, 'internal'), accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { error: { code: 'internal', status: 500 }, seen: [{}] },
    not: { curl: 'it takes a 500 for one that passes' },
  },
  {
    name: 'a request that still runs under the same key is come back to',
    script: [problem(409, 'idempotency-in-progress', { 'retry-after': '1' }), accepted],
    steps: [{ do: 'jobs.create', input: document }],
    expect: { value: { id: 'job_1' }, seen: [{}, {}], sameIdempotencyKey: true, leastMs: 990 },
    not: { curl: 'it takes no 409 for one that passes' },
  },
  {
    name: 'reading is asked for again too',
    script: [{ status: 503, text: '' }, { json: { object: 'ocr.result', text: 'read' } }],
    steps: [{ do: 'recognize', input: document }],
    expect: { value: { text: 'read' }, seen: [{ path: { matches: '^/v1/recognize' } }, {}] },
  },
  {
    name: 'a deletion whose answer was lost is done',
    script: [{ reset: 'before' }, problem(404, 'not-found')],
    steps: [{ do: 'jobs.delete', id: 'job_1' }],
    expect: { value: null, seen: [{ method: 'DELETE' }, { method: 'DELETE' }] },
    not: { curl: 'it does not know of what it has lost' },
  },
  {
    name: 'another attempt is not asked for twice when the answer was lost',
    script: [{ reset: 'before' }, accepted],
    steps: [{ do: 'jobs.retry', id: 'job_1' }],
    expect: { error: { name: 'ConnectionError' }, seen: [{ method: 'POST', path: '/v1/jobs/job_1/retry' }] },
  },
  {
    name: 'where events do not come through, a job is waited for by long polls',
    script: [noEvents, { ...running, delayMs: 700 }, ended],
    steps: [{ do: 'jobs.wait', id: 'job_1' }],
    expect: {
      value: { status: 'succeeded' },
      seen: [
        { path: '/v1/jobs/job_1/events' },
        { path: { matches: 'wait=\\d+' } },
        { path: { matches: 'wait=\\d+' } },
      ],
    },
    not: { curl: asks },
  },
  {
    name: 'where long polls are answered at once, it is asked as often as it said',
    script: [noEvents, { ...running, headers: { 'retry-after': '1' } }, ended],
    steps: [{ do: 'jobs.wait', id: 'job_1' }],
    expect: { value: { status: 'succeeded' }, seen: [{}, {}, {}], leastMs: 990 },
    not: { curl: asks },
  },
  {
    name: 'where long polls are cut off, it is asked without waiting',
    script: [noEvents, { reset: 'before' }, running, ended],
    steps: [{ do: 'jobs.wait', id: 'job_1' }],
    expect: {
      value: { status: 'succeeded' },
      seen: [{}, {}, { path: '/v1/jobs/job_1' }, { path: '/v1/jobs/job_1' }],
    },
    not: { curl: asks },
  },
  {
    name: 'a stream of events that breaks off goes on after the last one seen',
    script: [
      stream(event(3, 'job.running', 'running'), { reset: 'within' }),
      stream(event(5, 'job.succeeded', 'succeeded')),
    ],
    steps: [{ do: 'jobs.events', id: 'job_1' }],
    expect: {
      value: [
        { type: 'job.running', id: '3' },
        { type: 'job.succeeded', id: '5', job: { status: 'succeeded' } },
      ],
      seen: [{ headers: { 'last-event-id': null } }, { headers: { 'last-event-id': '3' } }],
    },
    not: { curl: 'it does not connect again' },
  },
  {
    name: 'an event that was cut off is none',
    script: [
      stream(event(3, 'job.succeeded', 'succeeded').slice(0, -1), { reset: 'within' }),
      stream(event(3, 'job.succeeded', 'succeeded')),
    ],
    steps: [{ do: 'jobs.events', id: 'job_1' }],
    expect: { value: { length: 1 }, seen: [{}, {}] },
    not: { curl: 'it does not connect again' },
  },
  {
    name: 'events are read in every form that streams may have',
    script: [
      stream(
        `\r\n: a comment\r\nretry: 10\r\nid:4\r\nevent:job.succeeded\r\ndata:${JSON.stringify({ ...job, status: 'succeeded' }).replace(',', '\r\ndata: ,')}\r\n\r\n`,
      ),
    ],
    steps: [{ do: 'jobs.events', id: 'job_1' }],
    expect: { value: [{ type: 'job.succeeded', id: '4', job: { id: 'job_1' } }] },
  },
  {
    name: 'a job that ended while nobody listened has nothing more to tell',
    script: [{ status: 204 }],
    steps: [{ do: 'jobs.events', id: 'job_1', options: { lastEventId: '9' } }],
    expect: { value: { length: 0 }, seen: [{ headers: { 'last-event-id': '9' } }] },
  },
  {
    name: 'whoever may not see a job does not wait for it',
    script: [problem(404, 'not-found')],
    steps: [{ do: 'jobs.wait', id: 'job_1' }],
    expect: { error: { code: 'not-found' }, seen: [{}] },
  },
];
