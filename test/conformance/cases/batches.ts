import type { Case } from '../case.ts';

const two = [{ input: { bytes: 'say one' } }, { input: { bytes: 'say two' }, metadata: { ref: '2' } }];

/** Many documents at once. */
export const batchCases: Case[] = [
  {
    name: 'a batch is taken and waited for',
    steps: [
      { do: 'batches.create', items: two, options: { metadata: { of: 'all' } }, as: 'batch' },
      { do: 'batches.wait', id: '$batch.id' },
    ],
    expect: {
      value: {
        object: 'batch',
        status: 'completed',
        jobCount: 2,
        counts: { succeeded: 2 },
        metadata: { of: 'all' },
      },
      kept: { batch: { object: 'batch', source: { type: 'items', count: 2 } } },
    },
  },
  {
    name: 'the jobs of a batch are listed in the order of its source',
    steps: [
      { do: 'batches.create', items: two, as: 'batch' },
      { do: 'batches.wait', id: '$batch.id' },
      { do: 'batches.items', id: '$batch.id' },
    ],
    expect: { value: [{ batchIndex: 0 }, { batchIndex: 1, metadata: { ref: '2' }, status: 'succeeded' }] },
  },
  {
    name: 'the results of a batch come one by one',
    steps: [
      { do: 'batches.create', items: [...two, { input: { bytes: 'fail corrupt-document' } }], as: 'batch' },
      { do: 'batches.wait', id: '$batch.id' },
      { do: 'batches.results', id: '$batch.id' },
    ],
    expect: {
      value: [
        { index: 0, result: { text: 'one' }, error: null },
        { index: 1, result: { text: 'two' } },
        { index: 2, status: 'failed', result: null, error: { code: 'corrupt-document' } },
      ],
    },
  },
  {
    name: 'a stream of results that breaks off is read to its end, and nothing twice',
    script: [
      { text: '{"jobId":"job_1","index":0}\n{"jobId":"job_2","in', reset: 'within' },
      { text: '{"jobId":"job_1","index":0}\n{"jobId":"job_2","index":1}\n' },
    ],
    steps: [{ do: 'batches.results', id: 'bat_1' }],
    expect: { value: [{ jobId: 'job_1' }, { jobId: 'job_2' }], seen: [{}, {}] },
    not: { curl: 'it keeps what it got before' },
  },
  {
    name: 'an item that is wrong is rejected alone',
    steps: [
      {
        do: 'batches.create',
        items: [
          { input: { bytes: 'say fine' } },
          { input: { bytes: 'say x' }, options: { maxSideLength: 1 } },
        ],
      },
    ],
    expect: { value: { rejectedCount: 1, rejected: [{ index: 1, code: 'validation-failed' }] } },
  },
  {
    name: 'the options of an item are its own',
    steps: [
      {
        do: 'batches.create',
        items: [{ input: { bytes: 'echo' }, options: { maxSideLength: 640 } }, { input: { bytes: 'echo' } }],
        options: { mode: 'line', options: { maxSideLength: 1280 } },
        as: 'batch',
      },
      { do: 'batches.wait', id: '$batch.id' },
      { do: 'batches.results', id: '$batch.id' },
    ],
    expect: {
      value: [
        { result: { text: { matches: '"maxSideLength":640' } } },
        { result: { text: { matches: '1280' } } },
      ],
    },
  },
  {
    name: 'the large documents of a batch are uploaded',
    steps: [
      {
        do: 'batches.create',
        items: [{ input: { filler: 50_000 } }, { input: { bytes: 'say small' } }],
        as: 'batch',
      },
      { do: 'batches.items', id: '$batch.id' },
      { do: 'batches.wait', id: '$batch.id' },
      { do: 'batches.results', id: '$batch.id' },
    ],
    expect: { value: [{ result: { text: '50000 bytes' } }, { result: { text: 'small' } }] },
  },
  {
    name: 'a batch is named by a manifest',
    objects: {
      'manifest.jsonl': '{"source":{"type":"s3","bucket":"$bucket","key":"$prefix/a"}}\n',
      a: 'say from a manifest',
    },
    steps: [
      {
        do: 'batches.create',
        options: { manifest: { bucket: '$bucket', key: '$prefix/manifest.jsonl' } },
        as: 'batch',
      },
      { do: 'batches.wait', id: '$batch.id' },
      { do: 'batches.results', id: '$batch.id' },
    ],
    expect: {
      value: [{ result: { text: 'from a manifest' } }],
      kept: { batch: { source: { type: 'manifest' } } },
    },
  },
  {
    name: 'a batch is named by a prefix',
    objects: { 'in/1.png': 'say one', 'in/2.png': 'say two', 'in/3.txt': 'say three' },
    steps: [
      {
        do: 'batches.create',
        options: { prefix: { bucket: '$bucket', prefix: '$prefix/in/', glob: '*.png' } },
        as: 'batch',
      },
      { do: 'batches.wait', id: '$batch.id' },
      { do: 'batches.results', id: '$batch.id' },
    ],
    expect: { value: [{ result: { text: 'one' } }, { result: { text: 'two' } }] },
  },
  {
    name: 'a batch is canceled',
    steps: [
      { do: 'batches.create', items: [{ input: { bytes: 'slow 20000' } }], as: 'batch' },
      { do: 'batches.cancel', id: '$batch.id' },
      { do: 'batches.wait', id: '$batch.id' },
    ],
    expect: { value: { status: 'canceled' } },
  },
  {
    name: 'the failed jobs of a batch are tried again',
    steps: [
      {
        do: 'batches.create',
        items: [{ input: { bytes: 'fail-first corrupt-document' } }, ...two],
        as: 'batch',
      },
      { do: 'batches.wait', id: '$batch.id', as: 'ended' },
      { do: 'batches.retryFailed', id: '$batch.id' },
      { do: 'batches.wait', id: '$batch.id' },
    ],
    expect: { value: { counts: { succeeded: 3, failed: 0 } }, kept: { ended: { counts: { failed: 1 } } } },
  },
  {
    name: 'batches are listed',
    steps: [
      { do: 'batches.create', items: two, as: 'batch' },
      { do: 'batches.list', as: 'list' },
    ],
    expect: { value: { length: 1 }, same: [['$list.0.id', '$batch.id']] },
  },
  {
    name: 'a batch is looked at',
    steps: [
      { do: 'batches.create', items: two, as: 'batch' },
      { do: 'batches.get', id: '$batch.id', as: 'same' },
    ],
    expect: { value: { object: 'batch' }, same: [['$same.id', '$batch.id']] },
  },
  {
    name: 'a batch that is not there is not found',
    steps: [{ do: 'batches.get', id: 'bat_01h455vb4pex5vsknk084sn02q' }],
    expect: { error: { code: 'not-found' } },
  },
  {
    name: 'a batch of nothing is refused',
    steps: [{ do: 'batches.create', options: { priority: 'low' } }],
    expect: { error: { code: 'validation-failed', status: 422 } },
  },
  {
    name: 'waiting for a batch ends when its time is over',
    steps: [
      { do: 'batches.create', items: [{ input: { bytes: 'slow 20000' } }], as: 'batch' },
      { do: 'batches.wait', id: '$batch.id', options: { timeoutMs: 400 } },
    ],
    expect: { error: { name: 'WaitTimeoutError' } },
  },
];
