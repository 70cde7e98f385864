import type { Case } from '../case.ts';

const nobody = 'job_01h455vb4pex5vsknk084sn02q';

/** The life of a job. */
export const jobCases: Case[] = [
  {
    name: 'a job has the settings it was given',
    steps: [
      {
        do: 'jobs.create',
        input: { bytes: 'say x' },
        options: {
          priority: 'low',
          ttlSeconds: 600,
          metadata: { ref: '9912', camelCase: 'kept' },
          mode: 'line',
        },
      },
    ],
    expect: { value: { priority: 'low', mode: 'line', metadata: { ref: '9912', camelCase: 'kept' } } },
  },
  {
    name: 'a job is waited for',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 300' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
    ],
    expect: { value: { object: 'job', status: 'succeeded', progress: { pagesDone: 1 } } },
  },
  {
    name: 'a job that fails is waited for all the same',
    steps: [
      { do: 'jobs.create', input: { bytes: 'fail corrupt-document' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
    ],
    expect: {
      value: { status: 'failed', error: { code: 'corrupt-document', phase: 'decode', retryable: false } },
    },
  },
  {
    name: 'waiting ends when its time is over',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 20000' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id', options: { timeoutMs: 400 } },
    ],
    expect: { error: { name: 'WaitTimeoutError' } },
  },
  {
    name: 'the result of a job is got',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say the text' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.result', id: '$job.id', as: 'result' },
    ],
    expect: {
      value: { object: 'ocr.result', text: 'the text', confidence: 0.9 },
      same: [['$result.jobId', '$job.id']],
    },
  },
  {
    name: 'its text alone is got',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say the text alone' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.text', id: '$job.id' },
    ],
    expect: { value: 'the text alone' },
  },
  {
    name: 'the pages of a job are listed',
    steps: [
      { do: 'jobs.create', input: { bytes: 'pages 3' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.pages', id: '$job.id' },
    ],
    expect: {
      value: [
        { number: 1, status: 'succeeded' },
        { number: 2 },
        { number: 3, href: { matches: '/pages/3$' } },
      ],
    },
  },
  {
    name: 'more pages than a list has are all listed',
    steps: [
      { do: 'jobs.create', input: { bytes: 'pages 130' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.pages', id: '$job.id' },
    ],
    expect: { value: { length: 130 } },
  },
  {
    name: 'one page is got',
    steps: [
      { do: 'jobs.create', input: { bytes: 'pages 3' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.page', id: '$job.id', number: 2 },
    ],
    expect: { value: { number: 2, status: 'succeeded', text: 'page 2', lines: [{ confidence: 0.9 }] } },
  },
  {
    name: 'a page that the document does not have is not found',
    steps: [
      { do: 'jobs.create', input: { bytes: 'pages 3' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.page', id: '$job.id', number: 4 },
    ],
    expect: { error: { code: 'not-found' } },
  },
  {
    name: 'a job is followed to its end',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 400' }, as: 'job' },
      { do: 'jobs.events', id: '$job.id', as: 'events' },
    ],
    expect: {
      value: { last: { type: 'job.succeeded', id: { matches: '^\\d+$' }, job: { status: 'succeeded' } } },
    },
  },
  {
    name: 'a job that has ended has one event to tell',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say x' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.events', id: '$job.id' },
    ],
    expect: { value: [{ type: 'job.succeeded' }] },
  },
  {
    name: 'jobs are listed, the newest first',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say one' }, as: 'first' },
      { do: 'jobs.create', input: { bytes: 'say two' }, as: 'second' },
      { do: 'jobs.list', as: 'list' },
    ],
    expect: {
      value: { length: 2 },
      same: [
        ['$list.0.id', '$second.id'],
        ['$list.1.id', '$first.id'],
      ],
    },
  },
  {
    name: 'jobs are listed by their status',
    steps: [
      { do: 'jobs.create', input: { bytes: 'fail corrupt-document' }, as: 'bad' },
      { do: 'jobs.create', input: { bytes: 'say good' }, as: 'good' },
      { do: 'jobs.wait', id: '$bad.id' },
      { do: 'jobs.wait', id: '$good.id' },
      { do: 'jobs.list', options: { status: 'failed' }, as: 'list' },
    ],
    expect: { value: { length: 1 }, same: [['$list.0.id', '$bad.id']] },
  },
  {
    name: 'a list goes on where its page ends',
    script: [
      { json: { object: 'list', data: [{ id: 'job_1' }, { id: 'job_2' }], nextCursor: 'next/1' } },
      { json: { object: 'list', data: [{ id: 'job_3' }], nextCursor: null } },
    ],
    steps: [{ do: 'jobs.list' }],
    expect: {
      value: [{ id: 'job_1' }, { id: 'job_2' }, { id: 'job_3' }],
      seen: [{ path: { matches: '^/v1/jobs\\?limit=\\d+$' } }, { path: { matches: 'cursor=next%2F1' } }],
    },
  },
  {
    name: 'a job that runs is canceled',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 20000' }, as: 'job' },
      { do: 'jobs.cancel', id: '$job.id' },
      { do: 'jobs.wait', id: '$job.id' },
    ],
    expect: { value: { status: 'canceled' } },
  },
  {
    name: 'a job that has ended is not canceled any more',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say x' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.cancel', id: '$job.id' },
    ],
    expect: { value: { status: 'succeeded' } },
  },
  {
    name: 'a job that failed is tried again',
    steps: [
      { do: 'jobs.create', input: { bytes: 'fail-first corrupt-document' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id', as: 'ended' },
      { do: 'jobs.retry', id: '$job.id' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.text', id: '$job.id' },
    ],
    expect: { value: 'at last', kept: { ended: { status: 'failed' } } },
  },
  {
    name: 'a job that succeeded cannot be tried again',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say x' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.retry', id: '$job.id' },
    ],
    expect: { error: { code: 'invalid-state', status: 409 } },
  },
  {
    name: 'a job that is deleted is gone',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say x' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.delete', id: '$job.id' },
      { do: 'jobs.get', id: '$job.id' },
    ],
    expect: { error: { code: 'not-found', status: 404 } },
  },
  {
    name: 'a job that runs is not deleted',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 20000' }, as: 'job' },
      { do: 'jobs.delete', id: '$job.id' },
    ],
    expect: { error: { code: 'invalid-state' } },
  },
  {
    name: 'a job that runs is canceled and deleted',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 20000' }, as: 'job' },
      { do: 'jobs.delete', id: '$job.id', options: { cancel: true } },
      { do: 'jobs.get', id: '$job.id' },
    ],
    expect: { error: { code: 'not-found' } },
  },
  {
    name: 'a job that is not there cannot be deleted',
    steps: [{ do: 'jobs.delete', id: nobody }],
    expect: { error: { code: 'not-found' } },
  },
  {
    name: 'the result of a job that runs is not there yet, and not waited for',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 20000' }, as: 'job' },
      { do: 'jobs.result', id: '$job.id' },
    ],
    expect: { error: { code: 'job-not-finished', status: 409 } },
  },
  {
    name: 'a job that failed has no result',
    steps: [
      { do: 'jobs.create', input: { bytes: 'fail image-too-large' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.result', id: '$job.id' },
    ],
    expect: { error: { code: 'job-failed' } },
  },
  {
    name: 'a job that was canceled has no result',
    steps: [
      { do: 'jobs.create', input: { bytes: 'slow 20000' }, as: 'job' },
      { do: 'jobs.cancel', id: '$job.id' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.result', id: '$job.id' },
    ],
    expect: { error: { code: 'job-canceled' } },
  },
  {
    name: 'a job that is not there is not found',
    steps: [{ do: 'jobs.get', id: nobody }],
    expect: { error: { code: 'not-found', status: 404 } },
  },
  {
    name: 'what is no id of a job is not found, whatever is in it',
    steps: [{ do: 'jobs.get', id: '../models?x=#y' }],
    expect: { error: { code: 'not-found' } },
  },
  {
    name: 'the job of another tenant is not found',
    steps: [
      { do: 'jobs.create', input: { bytes: 'say x' }, as: 'job' },
      { do: 'jobs.get', id: '$job.id', key: 'stranger' },
    ],
    expect: { error: { code: 'not-found' } },
  },
  {
    name: 'the models are listed',
    steps: [{ do: 'models' }],
    expect: { value: [{ object: 'model', role: 'recognize', name: 'svtr', default: true }] },
  },
  {
    name: 'the limits are told',
    steps: [{ do: 'limits' }],
    expect: { value: { object: 'limits', inlineBytes: 5_000_000, listLimitMax: 100 } },
  },
];
