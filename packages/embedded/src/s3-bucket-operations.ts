import { readText } from './s3-body.ts';
import { type Call, type Reply, timeText } from './s3-call.ts';
import { S3Error } from './s3-error.ts';
import {
  type Entry,
  type ListQuery,
  listObjects,
  listVersions,
  MAX_LISTED,
  type Position,
} from './s3-listing.ts';
import { uriEncodePath } from './s3-signature.ts';
import { parseXml, type XmlElement, xmlDocument } from './s3-xml.ts';

const OWNER: XmlElement = ['Owner', [['ID', 'embedded']]];

export async function listBuckets({ store }: Call): Promise<Reply> {
  const buckets = [...store.buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const elements = buckets.map(
    ({ name, createdMs }): XmlElement => [
      'Bucket',
      [
        ['Name', name],
        ['CreationDate', new Date(createdMs).toISOString()],
      ],
    ],
  );
  return { status: 200, body: xmlDocument('ListAllMyBucketsResult', [OWNER, ['Buckets', elements]]) };
}

/** A location in the body is accepted and means nothing here. */
export async function createBucket({ store, bucket }: Call): Promise<Reply> {
  await store.createBucket(bucket);
  return { status: 200, headers: { location: `/${bucket}` } };
}

export async function headBucket({ store, bucket }: Call): Promise<Reply> {
  store.bucket(bucket);
  return { status: 200, headers: { 'x-amz-bucket-region': 'us-east-1' } };
}

export async function deleteBucket({ store, bucket }: Call): Promise<Reply> {
  await store.deleteBucket(bucket);
  return { status: 204 };
}

export async function getBucketVersioning({ store, bucket }: Call): Promise<Reply> {
  const { versioning } = store.bucket(bucket);
  const status = versioning === 'Off' ? undefined : versioning;
  return { status: 200, body: xmlDocument('VersioningConfiguration', [['Status', status]]) };
}

export async function putBucketVersioning(call: Call): Promise<Reply> {
  const { store, bucket } = call;
  store.bucket(bucket);
  const status = parseXml(await readText(call.body()), 'VersioningConfiguration').text('Status');
  if (status !== 'Enabled' && status !== 'Suspended') {
    throw new S3Error('MalformedXML', 'Status must be Enabled or Suspended.');
  }
  await store.setVersioning(bucket, status);
  return { status: 200 };
}

export async function listObjectsV2({ store, bucket, query }: Call): Promise<Reply> {
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const after = token === undefined ? startAfter && { key: startAfter } : parseToken(token);
  const list = readListQuery(query, after || undefined);
  const page = listObjects(store.bucket(bucket), list);
  const encode = encoder(query);
  return {
    status: 200,
    body: xmlDocument('ListBucketResult', [
      ['Name', bucket],
      ['Prefix', encode(list.prefix)],
      ['Delimiter', list.delimiter === '' ? undefined : encode(list.delimiter)],
      ['StartAfter', startAfter === undefined ? undefined : encode(startAfter)],
      ['EncodingType', query.get('encoding-type')],
      ['MaxKeys', list.limit],
      ['KeyCount', page.entries.length + page.commonPrefixes.length],
      ['IsTruncated', page.next !== undefined],
      ['ContinuationToken', token],
      ['NextContinuationToken', page.next === undefined ? undefined : toToken(page.next)],
      ...page.entries.map((entry): XmlElement => ['Contents', objectElements(entry, encode)]),
      ...page.commonPrefixes.map((prefix): XmlElement => ['CommonPrefixes', [['Prefix', encode(prefix)]]]),
    ]),
  };
}

export async function listObjectVersions({ store, bucket, query }: Call): Promise<Reply> {
  const [key, versionId] = [query.get('key-marker') ?? '', query.get('version-id-marker')];
  const encode = encoder(query);
  const delimiter = query.get('delimiter') ?? '';
  // The marker of a page that ended in a common prefix is that prefix.
  const isPrefix = delimiter !== '' && key.endsWith(delimiter) && versionId === undefined;
  const after = { key, isPrefix, ...(versionId === undefined ? {} : { versionId }) };
  const list = readListQuery(query, key === '' ? undefined : after);
  const page = listVersions(store.bucket(bucket), list);
  return {
    status: 200,
    body: xmlDocument('ListVersionsResult', [
      ['Name', bucket],
      ['Prefix', encode(list.prefix)],
      ['KeyMarker', encode(key)],
      ['VersionIdMarker', versionId ?? ''],
      ['Delimiter', list.delimiter === '' ? undefined : encode(list.delimiter)],
      ['EncodingType', query.get('encoding-type')],
      ['MaxKeys', list.limit],
      ['IsTruncated', page.next !== undefined],
      ['NextKeyMarker', page.next && encode(page.next.key)],
      ['NextVersionIdMarker', page.next?.versionId],
      ...page.entries.map((entry) => versionElement(entry, encode)),
      ...page.commonPrefixes.map((prefix): XmlElement => ['CommonPrefixes', [['Prefix', encode(prefix)]]]),
    ]),
  };
}

function versionElement(entry: Entry, encode: (text: string) => string): XmlElement {
  const { version, isLatest } = entry;
  const versionElements: XmlElement[] = [['VersionId', version.versionId], ['IsLatest', isLatest], OWNER];
  if (version.file !== undefined) return ['Version', [...objectElements(entry, encode), ...versionElements]];
  return [
    'DeleteMarker',
    [['Key', encode(entry.key)], ['LastModified', timeText(version)], ...versionElements],
  ];
}

function objectElements({ key, version }: Entry, encode: (text: string) => string): XmlElement[] {
  return [
    ['Key', encode(key)],
    ['LastModified', timeText(version)],
    ['ETag', version.etag],
    ['ChecksumAlgorithm', version.checksum?.algorithm.toUpperCase()],
    ['ChecksumType', version.checksum?.type],
    ['Size', version.sizeBytes],
    ['StorageClass', 'STANDARD'],
  ];
}

function readListQuery(query: Map<string, string>, after: Position | undefined): ListQuery {
  const limit = query.get('max-keys') ?? String(MAX_LISTED);
  if (!/^\d{1,10}$/.test(limit)) throw new S3Error('InvalidArgument', 'max-keys must be a whole number.');
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    limit: Math.min(Number(limit), MAX_LISTED),
    ...(after === undefined ? {} : { after }),
  };
}

function encoder(query: Map<string, string>): (text: string) => string {
  const type = query.get('encoding-type');
  if (type !== undefined && type !== 'url')
    throw new S3Error('InvalidArgument', 'encoding-type must be url.');
  return type === 'url' ? uriEncodePath : (text) => text;
}

/** Opaque to the client: where the page ended. */
function toToken({ key, isPrefix }: Position): string {
  return Buffer.from(`${isPrefix ? 'p' : 'k'}${key}`).toString('base64url');
}

function parseToken(token: string): Position {
  const text = Buffer.from(token, 'base64url').toString('utf8');
  if (!/^[pk]./s.test(text)) throw new S3Error('InvalidArgument', 'The continuation token is not ours.');
  return { key: text.slice(1), isPrefix: text.startsWith('p') };
}
