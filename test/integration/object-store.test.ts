import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { JobFailure } from '@glyphmill/contract/failure';
import type { Fault } from '@glyphmill/embedded/s3-faults';
import { startS3 } from '@glyphmill/embedded/s3-server';
import { type ObjectStore, openObjectStore } from '@glyphmill/storage/object-store';

let dir: string;
let s3: Awaited<ReturnType<typeof startS3>>;
let store: ObjectStore;
let calls: string[] = [];
let fault: ((operation: string) => Fault | undefined) | undefined;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'glyphmill-store-'));
  const [accessKeyId, secretAccessKey] = ['key', 'secret'];
  const intercept = ({ operation }: { operation: string }) => {
    calls.push(operation);
    return fault?.(operation);
  };
  s3 = await startS3({ dir, accessKeyId, secretAccessKey, intercept });
  store = openObjectStore({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    accessKeyId,
    secretAccessKey,
    forcePathStyle: true,
  });
  await store.ensureBucket('system');
});
after(async () => {
  store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

const signal = AbortSignal.timeout(120_000);
const put = (key: string) =>
  store.write({ bucket: 'system', key }, Buffer.from('x'), { contentType: 'text/plain', signal });
const isThere = (key: string) =>
  store.read({ bucket: 'system', key }, { maxBytes: 10, signal }).then(
    () => true,
    () => false,
  );
const removeAll = (prefix: string) => store.removeAll({ bucket: 'system', prefix }, { signal });

test('all objects under a prefix are removed in a few requests, and none beside it', async () => {
  const keys = Array.from({ length: 1003 }, (_, index) => `pages/job_1/${index + 1}.json`);
  for (let start = 0; start < keys.length; start += 50) {
    await Promise.all(keys.slice(start, start + 50).map(put));
  }
  await put('pages/job_12/1.json');
  calls = [];
  await removeAll('pages/job_1/');
  assert.deepEqual(calls, ['ListObjectsV2', 'DeleteObjects', 'ListObjectsV2', 'DeleteObjects']);
  assert.deepEqual(await Promise.all([keys[0], keys[1002]].map((key = '') => isThere(key))), [false, false]);
  assert.equal(await isThere('pages/job_12/1.json'), true);
});

test('removing what is not there is one request, and what the store refuses is told', async () => {
  calls = [];
  await removeAll('pages/none/');
  assert.deepEqual(calls, ['ListObjectsV2']);
  await put('kept/1');
  fault = (operation) => (operation === 'DeleteObjects' ? { status: 403, code: 'AccessDenied' } : undefined);
  await assert.rejects(removeAll('kept/'), /AccessDenied|denied/i);
  fault = undefined;
  assert.equal(await isThere('kept/1'), true);
});

test('a look at an object tells what reading it would, failures too', async () => {
  const place = { bucket: 'system', key: 'looked-at' };
  await put(place.key);
  const { bytes, ...read } = await store.read(place, { maxBytes: 100, signal });
  const { contentType, ...head } = await store.head(place, { signal });
  assert.deepEqual(head, read);
  assert.equal(typeof contentType, 'string');
  assert.equal(read.sizeBytes, bytes.length);
  await store.head({ ...place, ifMatch: read.etag }, { signal });

  const failures = {
    'source-not-found': { ...place, key: 'nothing' },
    'source-changed': { ...place, ifMatch: '"other"' },
  };
  for (const [code, address] of Object.entries(failures)) {
    for (const look of [store.head(address, { signal }), store.read(address, { maxBytes: 100, signal })]) {
      await assert.rejects(look, (error) => error instanceof JobFailure && error.failure.code === code);
    }
  }
});

test('an object larger than may be read is refused, and one just as large is read', async () => {
  const place = { bucket: 'system', key: 'large' };
  const bytes = Buffer.alloc(11);
  await store.write(place, bytes, { contentType: 'text/plain', signal });
  const failed = store.read(place, { maxBytes: 10, signal });
  await assert.rejects(failed, (error) => {
    assert.ok(error instanceof JobFailure);
    assert.equal(error.failure.code, 'document-too-large');
    return true;
  });
  assert.equal((await store.read(place, { maxBytes: 11, signal })).bytes.length, 11);
});
