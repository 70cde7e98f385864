import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as sdk from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Fault } from '@glyphmill/embedded/s3-faults';
import { type EmbeddedS3, startS3 } from '@glyphmill/embedded/s3-server';

const credentials = { accessKeyId: 'test-key', secretAccessKey: 'test-secret' };
const Bucket = 'documents';
const MIB = 1024 * 1024;
const ODD_KEYS = [
  '../up',
  '../../etc/passwd',
  'a/../b',
  './here',
  '/leading',
  '//double//slash',
  'trailing/',
  'a//b',
  '.',
  '..',
  'per%cent',
  '100%25',
  'plus+plus',
  'space in it',
  ' ends with space ',
  'quote"\'',
  '<xml>&amp;',
  'tab\tkey',
  'line\nbreak',
  'über/ß',
  '日本語.png',
  '🧾.pdf',
  '👩‍👩‍👧',
  '\u{10FFFF}',
  '\uFFFD\uE000',
  'ünïcode',
  'u\u0308nicode',
  '?query=1',
  'hash#frag',
  'semi;colon',
  'back\\slash',
  '*',
  '~tilde',
  '(paren)',
  '!bang',
  'k'.repeat(1024),
  'é'.repeat(512),
  'constructor',
  '__proto__',
  'con.json',
  'bucket.json',
  '007',
  '1e3',
  'true',
];

let parent = '';
let dir = '';
let server: EmbeddedS3;
let s3: sdk.S3Client;
let fault: Fault | undefined;

before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'glyphmill-s3-'));
  dir = join(parent, 'data');
  await start();
});
after(async () => {
  s3.destroy();
  await server.close();
  await rm(parent, { recursive: true, force: true });
});

test('objects come back byte for byte with headers, metadata and checksum, streamed or not', async () => {
  const bytes = randomBytes(3 * MIB);
  const put = await s3.send(
    new sdk.PutObjectCommand({
      Bucket,
      Key: 'page.png',
      Body: bytes,
      ContentType: 'image/png',
      CacheControl: 'no-store',
      Metadata: { job: '7' },
    }),
  );
  const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'page.png' }));
  assert.ok(bytes.equals(await bodyOf(got)));
  assert.equal(got.ContentType, 'image/png');
  assert.equal(got.CacheControl, 'no-store');
  assert.deepEqual(got.Metadata, { job: '7' });
  assert.equal(got.ETag, put.ETag);
  assert.equal(got.ChecksumCRC32, put.ChecksumCRC32);
  const { Readable } = await import('node:stream');
  const Body = Readable.from([bytes.subarray(0, 100), bytes.subarray(100)]);
  await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'streamed', Body, ContentLength: bytes.length }));
  assert.ok(bytes.equals(await get('streamed')));
  const head = await s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'streamed' }));
  assert.equal(head.ContentLength, bytes.length);
  assert.equal(head.ContentEncoding, undefined);
});

test('every checksum algorithm is verified, kept and returned', async () => {
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'sum', Body: 'text', ChecksumAlgorithm }));
    const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'sum', ChecksumMode: 'ENABLED' }));
    assert.ok(got[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm);
    assert.equal(String(await bodyOf(got)), 'text');
  }
  const wrong = { Bucket, Key: 'sum', Body: 'other' };
  await fails(
    s3.send(new sdk.PutObjectCommand({ ...wrong, ChecksumSHA256: `${'A'.repeat(43)}=` })),
    'BadDigest',
    400,
  );
  await fails(
    s3.send(new sdk.PutObjectCommand({ ...wrong, ContentMD5: `${'A'.repeat(22)}==` })),
    'BadDigest',
    400,
  );
  assert.equal(String(await get('sum')), 'text');
});

test('odd keys keep their name, never leave the directory and are listed and deleted', async () => {
  assert.ok(ODD_KEYS.length >= 20);
  await s3.send(new sdk.CreateBucketCommand({ Bucket: 'odd-keys' }));
  const odd = { Bucket: 'odd-keys' };
  for (const Key of ODD_KEYS) await s3.send(new sdk.PutObjectCommand({ ...odd, Key, Body: `of ${Key}` }));
  for (const Key of ODD_KEYS) {
    const got = await s3.send(new sdk.GetObjectCommand({ ...odd, Key }));
    assert.equal(String(await bodyOf(got)), `of ${Key}`);
  }
  const byBytes = [...ODD_KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const encoded = await s3.send(new sdk.ListObjectsV2Command({ ...odd, EncodingType: 'url' }));
  assert.deepEqual(
    encoded.Contents?.map(({ Key }) => decodeURIComponent(Key ?? '')),
    byBytes,
  );
  const plain = await s3.send(new sdk.ListObjectsV2Command(odd));
  assert.deepEqual(
    plain.Contents?.map(({ Key }) => Key),
    byBytes,
  );
  const Objects = ODD_KEYS.map((Key) => ({ Key }));
  const deleted = await s3.send(new sdk.DeleteObjectsCommand({ ...odd, Delete: { Objects } }));
  assert.deepEqual(
    deleted.Deleted?.map(({ Key }) => Key),
    ODD_KEYS,
  );
  assert.equal((await s3.send(new sdk.ListObjectsV2Command(odd))).KeyCount, 0);
  await s3.send(new sdk.DeleteBucketCommand(odd));
  assert.deepEqual(await readdir(parent), ['data']);
  assert.deepEqual((await readdir(dir)).sort(), ['buckets', 'tmp', 'uploads']);
  await fails(
    s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'k'.repeat(1025), Body: '' })),
    'KeyTooLongError',
    400,
  );
});

test('pages of a listing with prefix and delimiter join to the whole without a gap or a double', async () => {
  const keys = ['a/1', 'a/2', 'a/3/x', 'a/3/y', 'a/4', 'b/1', 'c'];
  await s3.send(new sdk.CreateBucketCommand({ Bucket: 'pages' }));
  for (const Key of keys) await s3.send(new sdk.PutObjectCommand({ Bucket: 'pages', Key, Body: '' }));
  const list = async (input: Partial<sdk.ListObjectsV2CommandInput>) => {
    const found: string[] = [];
    for await (const page of sdk.paginateListObjectsV2(
      { client: s3, pageSize: 2 },
      { Bucket: 'pages', ...input },
    )) {
      assert.ok((page.KeyCount ?? 0) <= 2);
      found.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ''));
      found.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix ?? ''));
    }
    return found.sort();
  };
  const whole = await list({});
  assert.deepEqual(whole, keys);
  assert.deepEqual(await list({ Delimiter: '/' }), ['a/', 'b/', 'c']);
  assert.deepEqual(await list({ Prefix: 'a/', Delimiter: '/' }), ['a/1', 'a/2', 'a/3/', 'a/4']);
  assert.deepEqual(await list({ StartAfter: 'a/3/x' }), ['a/3/y', 'a/4', 'b/1', 'c']);
});

test('ranges and conditions are answered as S3 does', async () => {
  await put('ranged', '0123456789');
  const range = async (Range: string) => {
    const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'ranged', Range }));
    return [String(await bodyOf(got)), got.ContentRange];
  };
  assert.deepEqual(await range('bytes=2-4'), ['234', 'bytes 2-4/10']);
  assert.deepEqual(await range('bytes=7-'), ['789', 'bytes 7-9/10']);
  assert.deepEqual(await range('bytes=-3'), ['789', 'bytes 7-9/10']);
  assert.deepEqual(await range('bytes=8-99'), ['89', 'bytes 8-9/10']);
  const of = { Bucket, Key: 'ranged' };
  await fails(s3.send(new sdk.GetObjectCommand({ ...of, Range: 'bytes=10-' })), 'InvalidRange', 416);
  await fails(s3.send(new sdk.GetObjectCommand({ ...of, IfMatch: '"other"' })), 'PreconditionFailed', 412);
  const { ETag } = await s3.send(new sdk.HeadObjectCommand(of));
  await assert.rejects(s3.send(new sdk.GetObjectCommand({ ...of, IfNoneMatch: ETag })), status(304));
  await fails(
    s3.send(new sdk.PutObjectCommand({ ...of, Body: '', IfNoneMatch: '*' })),
    'PreconditionFailed',
    412,
  );
  await fails(s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'missing' })), 'NoSuchKey', 404);
  await fails(s3.send(new sdk.GetObjectCommand({ Bucket: 'missing', Key: 'k' })), 'NoSuchBucket', 404);
  await assert.rejects(s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'missing' })), status(404));
  await fails(s3.send(new sdk.GetObjectAclCommand(of)), 'NotImplemented', 501);
  await fails(s3.send(new sdk.DeleteBucketCommand({ Bucket })), 'BucketNotEmpty', 409);
});

test('a versioned bucket keeps what is overwritten and deleted', async () => {
  const of = { Bucket: 'versioned', Key: 'k' };
  await s3.send(new sdk.CreateBucketCommand({ Bucket: 'versioned' }));
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await s3.send(new sdk.PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration }));
  const state = await s3.send(new sdk.GetBucketVersioningCommand({ Bucket: 'versioned' }));
  assert.equal(state.Status, 'Enabled');
  const one = await s3.send(new sdk.PutObjectCommand({ ...of, Body: 'one' }));
  const two = await s3.send(new sdk.PutObjectCommand({ ...of, Body: 'two' }));
  const marker = await s3.send(new sdk.DeleteObjectCommand(of));
  assert.equal(marker.DeleteMarker, true);
  await fails(s3.send(new sdk.GetObjectCommand(of)), 'NoSuchKey', 404);
  const old = await s3.send(new sdk.GetObjectCommand({ ...of, VersionId: one.VersionId }));
  assert.equal(String(await bodyOf(old)), 'one');
  const all = await s3.send(new sdk.ListObjectVersionsCommand({ Bucket: 'versioned' }));
  assert.deepEqual(
    all.Versions?.map(({ VersionId }) => VersionId),
    [two.VersionId, one.VersionId],
  );
  assert.equal(all.DeleteMarkers?.[0]?.IsLatest, true);
  const page = await s3.send(new sdk.ListObjectVersionsCommand({ Bucket: 'versioned', MaxKeys: 2 }));
  const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
  const next = await s3.send(
    new sdk.ListObjectVersionsCommand({ Bucket: 'versioned', KeyMarker, VersionIdMarker }),
  );
  assert.deepEqual(
    next.Versions?.map(({ VersionId }) => VersionId),
    [one.VersionId],
  );
  await fails(
    s3.send(new sdk.GetObjectCommand({ ...of, VersionId: marker.VersionId })),
    'MethodNotAllowed',
    405,
  );
  await s3.send(new sdk.DeleteObjectCommand({ ...of, VersionId: marker.VersionId }));
  assert.equal(String(await bodyOf(await s3.send(new sdk.GetObjectCommand(of)))), 'two');
});

test('a copy carries content and metadata, or takes new metadata', async () => {
  await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'from/ü +', Body: 'copied', Metadata: { a: '1' } }));
  const CopySource = `${Bucket}/${encodeURIComponent('from/ü +')}`;
  await s3.send(new sdk.CopyObjectCommand({ Bucket, Key: 'to', CopySource }));
  const copy = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'to' }));
  assert.equal(String(await bodyOf(copy)), 'copied');
  assert.deepEqual(copy.Metadata, { a: '1' });
  const replaced = { MetadataDirective: 'REPLACE' as const, Metadata: { b: '2' } };
  await s3.send(new sdk.CopyObjectCommand({ Bucket, Key: 'to', CopySource, ...replaced }));
  assert.deepEqual((await s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'to' }))).Metadata, { b: '2' });
});

test('a multipart upload is put together in order, checked, or aborted', async () => {
  const of = { Bucket, Key: 'parts' };
  const parts = [randomBytes(5 * MIB), randomBytes(1000)];
  const begin = { ...of, ChecksumAlgorithm: 'CRC32' as const };
  const { UploadId } = await s3.send(new sdk.CreateMultipartUploadCommand(begin));
  const Parts: sdk.CompletedPart[] = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const sent = await s3.send(new sdk.UploadPartCommand({ ...of, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32 });
  }
  const complete = (MultipartUpload: sdk.CompletedMultipartUpload) =>
    new sdk.CompleteMultipartUploadCommand({ ...of, UploadId, MultipartUpload });
  await fails(s3.send(complete({ Parts: Parts.toReversed() })), 'InvalidPartOrder', 400);
  await fails(s3.send(complete({ Parts: [{ PartNumber: 1, ETag: '"0"' }] })), 'InvalidPart', 400);
  const done = await s3.send(complete({ Parts }));
  assert.match(done.ETag ?? '', /-2"$/);
  assert.match(done.ChecksumCRC32 ?? '', /-2$/);
  assert.ok(Buffer.concat(parts).equals(await get('parts')));
  await fails(s3.send(complete({ Parts })), 'NoSuchUpload', 404);
  const second = await s3.send(new sdk.CreateMultipartUploadCommand({ ...of, Key: 'aborted' }));
  const abort = new sdk.AbortMultipartUploadCommand({ ...of, Key: 'aborted', UploadId: second.UploadId });
  await s3.send(abort);
  await fails(s3.send(abort), 'NoSuchUpload', 404);
});

test('a wrong secret, an unknown key, no signature and a wrong clock are refused', async () => {
  const list = new sdk.ListBucketsCommand({});
  const wrong = client({ credentials: { ...credentials, secretAccessKey: 'wrong' } });
  await fails(wrong.send(list), 'SignatureDoesNotMatch', 403);
  const unknown = client({ credentials: { ...credentials, accessKeyId: 'unknown' } });
  await fails(unknown.send(list), 'InvalidAccessKeyId', 403);
  const late = client({ systemClockOffset: -16 * 60 * 1000, maxAttempts: 1 });
  await fails(late.send(list), 'RequestTimeTooSkewed', 403);
  assert.equal((await fetch(`${server.endpoint}/${Bucket}/page.png`)).status, 403);
});

test('presigned URLs read and write, until they expire or are changed', async () => {
  await put('presigned', 'by url');
  const of = { Bucket, Key: 'presigned' };
  const url = await getSignedUrl(s3, new sdk.GetObjectCommand(of), { expiresIn: 60 });
  assert.equal(await (await fetch(url)).text(), 'by url');
  assert.equal((await fetch(url.replace('presigned?', 'ranged?'))).status, 403);
  const expired = await getSignedUrl(s3, new sdk.GetObjectCommand(of), {
    expiresIn: 60,
    signingDate: new Date(Date.now() - 61_000),
  });
  assert.match(await (await fetch(expired)).text(), /AccessDenied.*expired/s);
  // By default the SDK puts the CRC32 of an empty body into this URL.
  const write = await getSignedUrl(s3, new sdk.PutObjectCommand(of), { expiresIn: 60 });
  assert.equal((await fetch(write, { method: 'PUT', body: 'written by url' })).status, 200);
  assert.equal(String(await get('presigned')), 'written by url');
});

test('a body changed on its way is refused and leaves the object as it was', async () => {
  await put('tampered', 'before');
  fault = { corruptByteAt: 12 };
  const body = randomBytes(1000);
  await fails(
    s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'tampered', Body: body })),
    'XAmzContentSHA256Mismatch',
    400,
  );
  fault = undefined;
  assert.equal(String(await get('tampered')), 'before');
});

test('each fault reaches the client as the failure it stands for', async () => {
  const bytes = randomBytes(50_000);
  await put('faulty', bytes);
  const once = client({ maxAttempts: 1 });
  const read = async () => bodyOf(await once.send(new sdk.GetObjectCommand({ Bucket, Key: 'faulty' })));
  fault = { status: 503, code: 'SlowDown' };
  await fails(once.send(new sdk.GetObjectCommand({ Bucket, Key: 'faulty' })), 'SlowDown', 503);
  fault = { corruptByteAt: 20_000 };
  await assert.rejects(read(), /[Cc]hecksum/);
  fault = { truncateAt: 20_000 };
  await assert.rejects(read(), /aborted|ECONNRESET/);
  fault = { dripBytesPerSecond: 100_000 };
  const started = Date.now();
  assert.ok(bytes.equals(await read()));
  assert.ok(Date.now() - started > 350, 'half a second of dripping');
  fault = { hangMs: 300 };
  assert.ok(bytes.equals(await read()));
  fault = undefined;
});

test('of many writes of one key at once the last one stands whole, and no file is left over', async () => {
  const bodies = Array.from({ length: 20 }, (_, index) => Buffer.alloc(10_000, index));
  await s3.send(new sdk.CreateBucketCommand({ Bucket: 'contended' }));
  const of = { Bucket: 'contended', Key: 'one' };
  await Promise.all(bodies.map((Body) => s3.send(new sdk.PutObjectCommand({ ...of, Body }))));
  const stands = await bodyOf(await s3.send(new sdk.GetObjectCommand(of)));
  assert.ok(bodies.some((body) => body.equals(stands)));
  const files = await readdir(join(dir, 'buckets', 'contended'));
  assert.equal(files.filter((name) => name.endsWith('.data')).length, 1);
  const created = await Promise.allSettled(
    bodies.map((Body) => s3.send(new sdk.PutObjectCommand({ ...of, Key: 'new', Body, IfNoneMatch: '*' }))),
  );
  assert.equal(created.filter((result) => result.status === 'fulfilled').length, 1);
});

test('a client that stops sending is answered and cut off', async () => {
  const url = new URL(await getSignedUrl(s3, new sdk.PutObjectCommand({ Bucket, Key: 'slow' })));
  const socket = connect(Number(url.port), '127.0.0.1');
  socket.write(
    `PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 10\r\n\r\nabc`,
  );
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  await once(socket, 'close');
  assert.match(answer, /400 Bad Request.*RequestTimeout/s);
});

test('an object over the limit is refused before it is sent', async () => {
  const Body = Buffer.alloc(21 * MIB);
  await fails(s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'large', Body })), 'EntityTooLarge', 400);
});

test('all of it is still there after a restart, and nothing half-written', async () => {
  await put('kept', 'over the restart');
  const { UploadId } = await s3.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key: 'later' }));
  await server.close();
  await start();
  assert.equal(String(await get('kept')), 'over the restart');
  const part = { Bucket, Key: 'later', UploadId, PartNumber: 1 };
  await s3.send(new sdk.UploadPartCommand({ ...part, Body: 'x' }));
  const versions = await s3.send(new sdk.ListObjectVersionsCommand({ Bucket: 'versioned' }));
  assert.equal(versions.Versions?.length, 2);
  assert.deepEqual(await readdir(join(dir, 'tmp')), []);
});

async function start(): Promise<void> {
  server = await startS3({
    dir,
    ...credentials,
    buckets: [Bucket],
    maxObjectBytes: 20 * MIB,
    idleTimeoutMs: 1000,
    intercept: () => fault,
  });
  s3 = client({});
}

function client(overrides: sdk.S3ClientConfig): sdk.S3Client {
  return new sdk.S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    ...overrides,
  });
}

async function put(Key: string, Body: string | Buffer): Promise<void> {
  await s3.send(new sdk.PutObjectCommand({ Bucket, Key, Body }));
}

async function get(Key: string): Promise<Buffer> {
  return bodyOf(await s3.send(new sdk.GetObjectCommand({ Bucket, Key })));
}

async function bodyOf({ Body }: sdk.GetObjectCommandOutput): Promise<Buffer> {
  assert.ok(Body);
  return Buffer.from(await Body.transformToByteArray());
}

async function fails(sent: Promise<unknown>, code: string, httpStatus: number): Promise<void> {
  await assert.rejects(sent, (error: sdk.S3ServiceException) => {
    assert.equal(error.name, code, `${error.name}: ${error.message}`);
    return status(httpStatus)(error);
  });
}

function status(expected: number): (error: sdk.S3ServiceException) => boolean {
  return (error) => {
    assert.equal(error.$metadata.httpStatusCode, expected);
    return true;
  };
}
