import * as buckets from './s3-bucket-operations.ts';
import type { Call, Reply } from './s3-call.ts';
import { S3Error } from './s3-error.ts';
import * as objects from './s3-object-operations.ts';
import * as uploads from './s3-upload-operations.ts';

interface Route {
  operation: string;
  method: string;
  on: 'service' | 'bucket' | 'object';
  /** Query names that select this operation. */
  required: string[];
  optional: string[];
  run(call: Call): Promise<Reply>;
}

const LISTING = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];
const RESPONSE = [
  'response-content-type',
  'response-content-language',
  'response-content-disposition',
  'response-content-encoding',
  'response-cache-control',
  'response-expires',
];

const ROUTES: Route[] = [
  route('ListBuckets', 'GET service', [], [], buckets.listBuckets),
  route('CreateBucket', 'PUT bucket', [], [], buckets.createBucket),
  route('HeadBucket', 'HEAD bucket', [], [], buckets.headBucket),
  route('DeleteBucket', 'DELETE bucket', [], [], buckets.deleteBucket),
  route('GetBucketVersioning', 'GET bucket', ['versioning'], [], buckets.getBucketVersioning),
  route('PutBucketVersioning', 'PUT bucket', ['versioning'], [], buckets.putBucketVersioning),
  route(
    'ListObjectsV2',
    'GET bucket',
    ['list-type'],
    [...LISTING, 'continuation-token', 'start-after', 'fetch-owner'],
    buckets.listObjectsV2,
  ),
  route(
    'ListObjectVersions',
    'GET bucket',
    ['versions'],
    [...LISTING, 'key-marker', 'version-id-marker'],
    buckets.listObjectVersions,
  ),
  route('DeleteObjects', 'POST bucket', ['delete'], [], objects.deleteObjects),
  route('PutObject', 'PUT object', [], [], objects.putObject),
  route('GetObject', 'GET object', [], ['versionId', ...RESPONSE], objects.getObject),
  route('HeadObject', 'HEAD object', [], ['versionId', ...RESPONSE], objects.headObject),
  route('DeleteObject', 'DELETE object', [], ['versionId'], objects.deleteObject),
  route('CreateMultipartUpload', 'POST object', ['uploads'], [], uploads.createMultipartUpload),
  route('UploadPart', 'PUT object', ['uploadId', 'partNumber'], [], uploads.uploadPart),
  route('CompleteMultipartUpload', 'POST object', ['uploadId'], [], uploads.completeMultipartUpload),
  route('AbortMultipartUpload', 'DELETE object', ['uploadId'], [], uploads.abortMultipartUpload),
];
const COPY = route('CopyObject', 'PUT object', [], [], objects.copyObject);

/**
 * The operation a request means. Throws NotImplemented for any query parameter that its operation does not
 * know: an answer that leaves part of the question out would be wrong.
 */
export function findRoute(
  method: string,
  call: Pick<Call, 'bucket' | 'key' | 'query' | 'headers'>,
): Pick<Route, 'operation' | 'run'> {
  const on = call.key !== '' ? 'object' : call.bucket !== '' ? 'bucket' : 'service';
  const names = [...call.query.keys()].filter((name) => !/^x-(amz-|id$)/i.test(name));
  const found = ROUTES.find(
    (route) =>
      route.method === method &&
      route.on === on &&
      route.required.every((name) => names.includes(name)) &&
      names.every((name) => route.required.includes(name) || route.optional.includes(name)),
  );
  const copies = call.headers['x-amz-copy-source'] !== undefined;
  if (found === undefined || (copies && found.operation !== 'PutObject')) {
    throw new S3Error(
      'NotImplemented',
      `${method} on the ${on} with [${names.join(', ')}] is not supported.`,
    );
  }
  return copies ? COPY : found;
}

function route(
  operation: string,
  target: `${string} ${Route['on']}`,
  required: string[],
  optional: string[],
  run: Route['run'],
): Route {
  const [method = ''] = target.split(' ');
  const on = target.endsWith('object') ? 'object' : target.endsWith('bucket') ? 'bucket' : 'service';
  return { operation, method, on, required, optional, run };
}
