import { readText, spoolBody } from './s3-body.ts';
import { type Call, checksumHeaders, keptHeaders, type Reply, timeText, versionHeader } from './s3-call.ts';
import { S3Error } from './s3-error.ts';
import type { ObjectVersion } from './s3-objects.ts';
import { checkRead, checkWrite, parseRange } from './s3-preconditions.ts';
import { parseXml, type XmlElement, xmlDocument } from './s3-xml.ts';

const MAX_DELETED = 1000;

export async function putObject(call: Call): Promise<Reply> {
  const { store, bucket, key, headers } = call;
  store.bucket(bucket);
  // Said before the body is sent, so that a client that waits for it need not send one in vain.
  checkWrite(headers, currentVersion(call));
  const path = store.temporaryPath();
  const { md5, ...body } = await spoolBody(call.body(), path);
  const version = await store.put(
    bucket,
    key,
    { ...body, path, etag: `"${md5}"`, headers: keptHeaders(headers) },
    (current) => checkWrite(headers, current),
  );
  return {
    status: 200,
    headers: {
      etag: version.etag,
      ...checksumHeaders(version.checksum),
      ...versionHeader(store.bucket(bucket), version.versionId),
    },
  };
}

export async function getObject(call: Call): Promise<Reply> {
  const { store, bucket, key, headers, query } = call;
  const { version, handle } = await store.openData(bucket, key, query.get('versionId'));
  try {
    checkRead(headers, version);
    const range = parseRange(headers.range, version.sizeBytes);
    const { start, end } = range ?? { start: 0, end: version.sizeBytes - 1 };
    return {
      status: range === undefined ? 200 : 206,
      headers: {
        ...objectHeaders(call, version, range !== undefined),
        'content-length': String(end - start + 1),
        ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${version.sizeBytes}` }),
      },
      body: { handle, start, end },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export async function headObject(call: Call): Promise<Reply> {
  const reply = await getObject(call);
  if (typeof reply.body === 'object') await reply.body.handle.close();
  return { status: reply.status, headers: reply.headers ?? {} };
}

export async function deleteObject({ store, bucket, key, query }: Call): Promise<Reply> {
  const { versionId, deleteMarker } = await store.remove(bucket, key, query.get('versionId'));
  return {
    status: 204,
    headers: {
      ...(versionId === undefined ? {} : { 'x-amz-version-id': versionId }),
      ...(deleteMarker ? { 'x-amz-delete-marker': 'true' } : {}),
    },
  };
}

export async function deleteObjects(call: Call): Promise<Reply> {
  const { store, bucket } = call;
  store.bucket(bucket);
  const request = parseXml(await readText(call.body()), 'Delete');
  const objects = request.all('Object');
  if (objects.length === 0 || objects.length > MAX_DELETED) {
    throw new S3Error('MalformedXML', `A request deletes 1 to ${MAX_DELETED} objects.`);
  }
  const deleted: XmlElement[] = [];
  for (const object of objects) {
    const [key, versionId] = [object.text('Key'), object.text('VersionId')];
    if (key === undefined || key === '') throw new S3Error('MalformedXML', 'An object has no key.');
    const removed = await store.remove(bucket, key, versionId);
    deleted.push([
      'Deleted',
      [
        ['Key', key],
        ['VersionId', versionId],
        ['DeleteMarker', removed.deleteMarker || undefined],
        ['DeleteMarkerVersionId', removed.deleteMarker ? removed.versionId : undefined],
      ],
    ]);
  }
  const quiet = request.text('Quiet') === 'true';
  return { status: 200, body: xmlDocument('DeleteResult', quiet ? [] : deleted) };
}

export async function copyObject(call: Call): Promise<Reply> {
  const { store, bucket, key, headers } = call;
  store.bucket(bucket);
  const source = parseCopySource(headers['x-amz-copy-source'] ?? '');
  const replace = headers['x-amz-metadata-directive'] === 'REPLACE';
  if (source.bucket === bucket && source.key === key && source.versionId === undefined && !replace) {
    throw new S3Error('InvalidRequest', 'A copy onto itself must replace the metadata.');
  }
  const { version, handle } = await store.openData(source.bucket, source.key, source.versionId);
  const path = store.temporaryPath();
  const conditions = {
    ...(headers['x-amz-copy-source-if-match'] && { 'if-match': headers['x-amz-copy-source-if-match'] }),
  };
  let body: Awaited<ReturnType<typeof spoolBody>>;
  try {
    checkRead(conditions, version);
    body = await spoolBody(
      {
        source: handle.createReadStream({ autoClose: false }),
        headers: { 'content-length': String(version.sizeBytes) },
        payload: { kind: 'unsigned' },
        maxBytes: version.sizeBytes,
        checksumAlgorithm: version.checksum?.algorithm,
      },
      path,
    );
  } finally {
    await handle.close();
  }
  const { md5, ...content } = body;
  const object = {
    ...content,
    path,
    etag: `"${md5}"`,
    headers: replace ? keptHeaders(headers) : version.headers,
  };
  const copy = await store.put(bucket, key, object, (current) => checkWrite(headers, current));
  return {
    status: 200,
    headers: {
      ...versionHeader(store.bucket(bucket), copy.versionId),
      ...(store.bucket(source.bucket).versioning === 'Off'
        ? {}
        : { 'x-amz-copy-source-version-id': version.versionId }),
    },
    body: xmlDocument('CopyObjectResult', [
      ['LastModified', timeText(copy)],
      ['ETag', copy.etag],
    ]),
  };
}

function currentVersion({ store, bucket, key }: Call): ObjectVersion | undefined {
  const newest = store.bucket(bucket).keys.get(key)?.[0];
  return newest?.file === undefined ? undefined : newest;
}

/** The checksum is of the whole object, so a part of it goes without; the query may override headers. */
function objectHeaders({ store, bucket, query, headers }: Call, version: ObjectVersion, partial: boolean) {
  const overrides = [...query]
    .filter(([name]) => name.startsWith('response-'))
    .map(([name, value]) => [name.slice('response-'.length), value]);
  const wantsChecksum = (headers['x-amz-checksum-mode'] ?? query.get('x-amz-checksum-mode')) === 'ENABLED';
  return {
    ...version.headers,
    ...Object.fromEntries(overrides),
    etag: version.etag,
    'last-modified': new Date(version.lastModifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
    ...versionHeader(store.bucket(bucket), version.versionId),
    ...(wantsChecksum && !partial ? checksumHeaders(version.checksum) : {}),
  };
}

function parseCopySource(header: string): { bucket: string; key: string; versionId: string | undefined } {
  const [path = '', query = ''] = header.split('?versionId=');
  try {
    const [bucket = '', ...key] = decodeURIComponent(path).replace(/^\//, '').split('/');
    if (bucket !== '' && key.join('/') !== '') {
      return { bucket, key: key.join('/'), versionId: query === '' ? undefined : query };
    }
  } catch {
    // Not percent-encoded UTF-8: the same answer.
  }
  throw new S3Error('InvalidArgument', 'x-amz-copy-source must be BUCKET/KEY, percent-encoded.');
}
