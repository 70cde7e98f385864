import type { Case } from '../case.ts';

const noFiles = { chromium: 'a page has no files by path' };
const noPictures = {
  typescript: 'Node has no pictures in memory',
  curl: 'a shell has no pictures in memory',
};

/** What can be read, and how a document gets there. */
export const documentCases: Case[] = [
  {
    name: 'bytes are read',
    steps: [{ do: 'recognize', input: { bytes: 'say Water will be off' } }],
    expect: {
      value: {
        object: 'ocr.result',
        text: 'Water will be off',
        pages: [{ lines: [{ text: 'Water will be off' }] }],
      },
    },
  },
  {
    name: 'a file is read by its path',
    steps: [{ do: 'recognize', input: { path: 'say from a path' } }],
    expect: { value: { text: 'from a path' } },
    not: noFiles,
  },
  {
    name: 'an open file is read',
    steps: [{ do: 'recognize', input: { file: 'say from a file' } }],
    expect: { value: { text: 'from a file' } },
  },
  {
    name: 'a stream is read',
    steps: [{ do: 'recognize', input: { stream: 'say from a stream' } }],
    expect: { value: { text: 'from a stream' } },
  },
  {
    name: 'an object in S3 is read by the workers',
    objects: { 'a.png': 'say from a bucket' },
    steps: [{ do: 'recognize', input: { s3: 's3://$bucket/$prefix/a.png' } }],
    expect: { value: { text: 'from a bucket' } },
  },
  {
    name: 'a picture in memory is read',
    steps: [{ do: 'recognize', input: { picture: { width: 40, height: 20 } } }],
    expect: { value: { text: { matches: '^\\d+ bytes$' } } },
    not: noPictures,
  },
  {
    name: 'what is at a URL is fetched here, without the API key',
    script: [
      { text: 'say from the web' },
      {
        status: 202,
        json: { object: 'job', id: 'job_1', status: 'queued' },
        headers: { location: '/v1/jobs/job_1' },
      },
    ],
    steps: [{ do: 'jobs.create', input: { url: '$base/scan.png' } }],
    expect: {
      seen: [
        { method: 'GET', path: '/scan.png', headers: { authorization: null } },
        {
          method: 'POST',
          path: '/v1/jobs',
          headers: { authorization: { matches: '^Bearer ' } },
          body: { matches: 'c2F5IGZyb20gdGhlIHdlYg==' },
        },
      ],
    },
  },
  {
    name: 'a URL that leads to nothing is an error of the input',
    script: [{ status: 404, text: 'gone' }],
    steps: [{ do: 'jobs.create', input: { url: '$base/scan.png' } }],
    expect: { error: { name: 'InputError' } },
  },
  {
    name: 'a path that leads to nothing is an error of the input',
    steps: [{ do: 'recognize', input: { source: './no/such/file.png' } }],
    expect: { error: { name: 'InputError' } },
  },
  {
    name: 'a document of no bytes is an error of the input',
    steps: [{ do: 'recognize', input: { bytes: '' } }],
    expect: { error: { name: 'InputError' } },
  },
  {
    name: 'an address of S3 without a key is an error of the input',
    steps: [{ do: 'recognize', input: { s3: 's3://bucket-only' } }],
    expect: { error: { name: 'InputError' } },
  },
  {
    name: 'settings go along with bytes',
    steps: [
      {
        do: 'recognize',
        input: { bytes: 'echo' },
        options: { mode: 'line', options: { minConfidence: 0.5, maxSideLength: 640 } },
      },
    ],
    expect: {
      value: {
        text: '{"mode":"line","model":"default","options":{"minConfidence":0.5,"maxSideLength":640,"characters":false}}',
      },
    },
  },
  {
    name: 'settings go along with an object in S3',
    objects: { 'a.png': 'echo' },
    steps: [{ do: 'recognize', input: { s3: 's3://$bucket/$prefix/a.png' }, options: { mode: 'line' } }],
    expect: { value: { text: { matches: '"mode":"line"' } } },
  },
  {
    name: 'a document that cannot be read is an error',
    steps: [{ do: 'recognize', input: { bytes: 'fail corrupt-document' } }],
    expect: { error: { code: 'job-failed', status: 409 } },
  },
  {
    name: 'an object that is not there is an error',
    steps: [{ do: 'recognize', input: { s3: 's3://$bucket/$prefix/nothing.png' } }],
    expect: { error: { code: 'job-failed' } },
  },
  {
    name: 'a reading that takes long is waited for',
    script: [
      { status: 202, json: { object: 'job', id: 'job_1', status: 'running' } },
      { status: 404, text: 'no events here' },
      { json: { object: 'job', id: 'job_1', status: 'succeeded' } },
      { json: { object: 'ocr.result', text: 'at last' } },
    ],
    steps: [{ do: 'recognize', input: { bytes: 'x' } }],
    expect: { value: { text: 'at last' } },
    not: { curl: 'it asks for no events' },
  },
  {
    name: 'a small document comes with its job',
    steps: [{ do: 'jobs.create', input: { bytes: 'say hello' } }],
    expect: { value: { object: 'job', source: { type: 'inline', sizeBytes: 9 } } },
  },
  {
    name: 'the type of an image is told from its first bytes',
    steps: [{ do: 'jobs.create', input: { bytes: 'GIF89a and so on' } }],
    expect: { value: { source: { type: 'inline', contentType: 'image/gif' } } },
  },
  {
    name: 'a large document is uploaded to the store',
    steps: [
      { do: 'jobs.create', input: { filler: 4_500_000 }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.text', id: '$job.id' },
    ],
    expect: { value: '4500000 bytes', kept: { job: { source: { type: 'upload', sizeBytes: 4_500_000 } } } },
  },
  {
    name: 'an upload is the document of a job',
    steps: [
      { do: 'uploads.send', input: { bytes: 'say uploaded' }, as: 'upload' },
      { do: 'jobs.create', input: { source: '$upload' }, as: 'job' },
      { do: 'jobs.wait', id: '$job.id' },
      { do: 'jobs.text', id: '$job.id' },
    ],
    expect: { value: 'uploaded', kept: { upload: { type: 'upload' } } },
  },
  {
    name: 'an address for an upload is given',
    steps: [{ do: 'uploads.create', options: { contentType: 'image/jpeg', sizeBytes: 12 } }],
    expect: {
      value: {
        object: 'upload',
        method: 'PUT',
        headers: { 'content-type': 'image/jpeg' },
        url: { matches: '^http.*X-Amz-Signature=' },
      },
    },
  },
  {
    name: 'the API key does not go to the store',
    script: [
      {
        status: 201,
        json: {
          object: 'upload',
          uploadId: 'upl_1',
          method: 'PUT',
          url: '$base/store/a?signed',
          headers: { 'content-type': 'image/png' },
          expiresAt: '',
        },
      },
      { status: 200 },
    ],
    steps: [{ do: 'uploads.send', input: { bytes: 'some bytes' } }],
    expect: {
      value: { type: 'upload', uploadId: 'upl_1' },
      seen: [
        { method: 'POST', path: '/v1/uploads', headers: { authorization: { matches: '^Bearer ' } } },
        {
          method: 'PUT',
          path: '/store/a?signed',
          headers: { authorization: null, 'content-type': 'image/png' },
          body: 'some bytes',
        },
      ],
    },
  },
  {
    name: 'an upload that the store cannot take now is sent again',
    script: [
      {
        status: 201,
        json: {
          object: 'upload',
          uploadId: 'upl_1',
          method: 'PUT',
          url: '$base/store/a',
          headers: {},
          expiresAt: '',
        },
      },
      { status: 503, text: 'SlowDown' },
      { status: 200 },
    ],
    steps: [{ do: 'uploads.send', input: { bytes: 'some bytes' } }],
    expect: {
      value: { uploadId: 'upl_1' },
      seen: [{}, { method: 'PUT' }, { method: 'PUT', body: 'some bytes' }],
    },
  },
  {
    name: 'an upload that the store refuses is not sent again',
    script: [
      {
        status: 201,
        json: {
          object: 'upload',
          uploadId: 'upl_1',
          method: 'PUT',
          url: '$base/store/a',
          headers: {},
          expiresAt: '',
        },
      },
      { status: 403, text: 'AccessDenied' },
    ],
    steps: [{ do: 'uploads.send', input: { bytes: 'some bytes' } }],
    expect: { error: { name: 'UploadError', status: 403 }, seen: [{}, { method: 'PUT' }] },
  },
];
