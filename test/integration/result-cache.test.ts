import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { newId } from '@glyphmill/contract/id';
import type { Task } from '@glyphmill/contract/message';
import type { Engine } from '@glyphmill/engine/engine';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { newJob } from './queue-setup.ts';
import { bucket, openWorkshop, systemBucket, type Workshop, withReader } from './result-cache-setup.ts';

const english = readFileSync(`${samplesFolder}line-english.png`);
const digits = readFileSync(`${samplesFolder}line-digits.png`);
const soon = () => AbortSignal.timeout(5000);

let shop: Workshop;
before(async () => {
  shop = await openWorkshop();
});
after(() => shop?.close());
beforeEach(() => {
  Object.assign(shop.work, { gets: 0, batches: 0 });
});

const documentAt = (key: string, changes: Partial<Task['document']> = {}) => ({
  document: { bucket, key, versionId: null, ifMatch: null, ...changes },
});

test('the same object read again gives the earlier result, with no GET and no inference', () =>
  withReader(shop, async ({ read, redis, keys }) => {
    await shop.put('same.png', english);
    const first = await read(documentAt('same.png'));
    assert.equal(first.job.usage?.cache, 'miss');
    const work = { ...shop.work };
    assert.ok(work.batches > 0 && work.gets === 1, 'the first was read');
    const second = await read(documentAt('same.png'));
    assert.deepEqual(shop.work, work, 'the second was not');
    assert.equal(second.job.usage?.cache, 'hit');
    assert.deepEqual(second.result, first.result && { ...first.result, jobId: second.job.id });
    assert.deepEqual(
      [second.job.usage?.pages, second.job.progress.pagesDone, second.job.timings?.recognizeMs],
      [1, 1, 0],
    );
    const entries = await redis.keys(`${keys.prefix}:cache:*`);
    assert.equal(entries.length, 1);
    const [entry = ''] = entries;
    assert.equal(await redis.pexpiretime(entry), await redis.pexpiretime(keys.result(first.job.id)));
  }));

test('what another tenant has had read is read anew', () =>
  withReader(shop, async ({ read }) => {
    await shop.put('shared.png', english);
    await read(documentAt('shared.png'));
    const other = await read(documentAt('shared.png'), 'other');
    assert.equal(other.job.usage?.cache, 'miss');
    assert.equal((await read(documentAt('shared.png'), 'other')).job.usage?.cache, 'hit');
  }));

test('an object that was overwritten, other options and another mode are read anew', () =>
  withReader(shop, async ({ read }) => {
    await shop.put('changing.png', english);
    const before = await read(documentAt('changing.png'));
    await shop.put('changing.png', digits);
    const now = await read(documentAt('changing.png'));
    assert.equal(now.job.usage?.cache, 'miss');
    assert.notEqual(now.result?.text, before.result?.text);
    const { options } = newJob({
      options: { minConfidence: 0.1, maxSideLength: 960, characters: false },
    }).task;
    assert.equal((await read({ ...documentAt('changing.png'), options })).job.usage?.cache, 'miss');
    assert.equal((await read({ ...documentAt('changing.png'), mode: 'document' })).job.usage?.cache, 'miss');
    assert.equal((await read(documentAt('changing.png'))).job.usage?.cache, 'hit');
  }));

test('a version of the object that was asked for gives that version’s text, and an ETag that is gone fails', async () => {
  await shop.store.ensureBucket('versioned');
  const client = new S3Client({ ...shop.s3, credentials: shop.s3 });
  await client.send(
    new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration: { Status: 'Enabled' } }),
  );
  client.destroy();
  await withReader(shop, async ({ read }) => {
    const place = { bucket: 'versioned', key: 'v.png' };
    await shop.put('v.png', english, 'versioned');
    const old = await shop.store.head(place, { signal: soon() });
    await shop.put('v.png', digits, 'versioned');
    const oldVersion = documentAt('v.png', { bucket: 'versioned', versionId: old.versionId });
    const texts = [];
    for (const document of [oldVersion, documentAt('v.png', { bucket: 'versioned' }), oldVersion]) {
      const { job, result } = await read(document);
      texts.push([job.usage?.cache, result?.text]);
    }
    assert.deepEqual(texts[2], ['hit', texts[0]?.[1]]);
    assert.notEqual(texts[0]?.[1], texts[1]?.[1]);
    const { job } = await read(documentAt('v.png', { bucket: 'versioned', ifMatch: old.etag }));
    assert.deepEqual([job.status, job.failure?.code], ['failed', 'source-changed']);
  });
});

test('refresh reads anew and is what later jobs are given; bypass leaves no trace', () =>
  withReader(shop, async ({ read, store: jobs }) => {
    await shop.put('fresh.png', english);
    const bypassed = await read({ ...documentAt('fresh.png'), cache: 'bypass' });
    assert.equal(bypassed.job.usage?.cache, 'bypass');
    const first = await read(documentAt('fresh.png'));
    assert.equal(first.job.usage?.cache, 'miss', 'a bypass kept nothing');
    assert.equal((await read({ ...documentAt('fresh.png'), cache: 'bypass' })).job.usage?.cache, 'bypass');
    const before = shop.work.batches;
    const refreshed = await read({ ...documentAt('fresh.png'), cache: 'refresh' });
    assert.equal(refreshed.job.usage?.cache, 'miss');
    assert.ok(shop.work.batches > before);
    await jobs.delete('acme', first.job.id);
    assert.equal((await read(documentAt('fresh.png'))).job.usage?.cache, 'hit', 'of the refreshed one');
  }));

test('the text of a deleted job is given to nobody any more', () =>
  withReader(shop, async ({ read, store: jobs, redis, keys }) => {
    await shop.put('gone.png', english);
    const first = await read(documentAt('gone.png'));
    const second = await read(documentAt('gone.png'));
    await jobs.delete('acme', second.job.id);
    assert.equal((await read(documentAt('gone.png'))).job.usage?.cache, 'hit', 'the first is still there');
    await jobs.delete('acme', first.job.id);
    assert.deepEqual(await redis.keys(`${keys.prefix}:cache:*`), []);
    assert.equal((await read(documentAt('gone.png'))).job.usage?.cache, 'miss');
  }));

test('a document that came with its request is read each time', () =>
  withReader(shop, async ({ read }) => {
    for (let turn = 0; turn < 2; turn += 1) {
      const key = `inline/${newId('job')}`;
      await shop.put(key, english, systemBucket);
      const inline = { contentType: 'image/png', sizeBytes: english.length };
      const { job } = await read({ ...documentAt(key, { bucket: systemBucket }), inline });
      assert.equal(job.usage?.cache, 'bypass');
    }
  }));

test('another version of a model reads anew, and while versions change nothing is kept', async () => {
  let version = '1';
  const changing = () => shop.served().map((model) => ({ ...model, version }));
  await withReader(
    shop,
    async ({ read, redis, keys }) => {
      await shop.put('models.png', english);
      await read(documentAt('models.png'));
      version = '2';
      assert.equal((await read(documentAt('models.png'))).job.usage?.cache, 'miss');
      assert.equal((await redis.keys(`${keys.prefix}:cache:*`)).length, 1, 'read by what is not served');
      version = '1';
      assert.equal((await read(documentAt('models.png'))).job.usage?.cache, 'hit');
    },
    { models: changing },
  );
});

/** Reads more text than there is. */
const wordy: Engine = {
  async scan(bytes, request) {
    const document = await shop.engine.scan(bytes, request);
    return { result: async (jobId) => ({ ...(await document.result(jobId)), text: 'word '.repeat(60_000) }) };
  },
  bytesInFlight: 0,
  close: () => {},
};

test('a result too large for Redis is given again under the job’s own key, and read anew once it is lost', () =>
  withReader(
    shop,
    async ({ read }) => {
      await shop.put('large.png', english);
      const asked = documentAt('large.png');
      const first = await read(asked);
      const second = await read(asked);
      assert.equal(second.job.usage?.cache, 'hit');
      assert.deepEqual(second.job.resultObject, {
        bucket: systemBucket,
        key: `results/${second.job.id}.json`,
      });
      assert.deepEqual(second.result, first.result && { ...first.result, jobId: second.job.id });
      const place = first.job.resultObject ?? assert.fail('the result is not large');
      await shop.store.remove(place, { signal: soon() });
      assert.equal((await read(asked)).job.usage?.cache, 'miss');
    },
    { engine: wordy },
  ));

test('without the cache’s connection documents are read', () =>
  withReader(shop, async ({ read, results, warnings }) => {
    await shop.put('alone.png', english);
    await read(documentAt('alone.png'));
    results.close();
    const { job } = await read(documentAt('alone.png'));
    assert.deepEqual([job.status, job.usage?.cache], ['succeeded', 'miss']);
    assert.match(warnings[0] ?? '', /earlier result could not be had/);
  }));
