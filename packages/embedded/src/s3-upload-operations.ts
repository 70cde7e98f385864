import { readText, spoolBody } from './s3-body.ts';
import { type Call, checksumHeaders, keptHeaders, type Reply, versionHeader } from './s3-call.ts';
import { parseAlgorithm } from './s3-checksums.ts';
import { S3Error } from './s3-error.ts';
import { checkWrite } from './s3-preconditions.ts';
import {
  assemble,
  createUpload,
  findUpload,
  type ListedPart,
  parsePartNumber,
  putPart,
  removeUpload,
  type Upload,
} from './s3-uploads.ts';
import { parseXml, xmlDocument } from './s3-xml.ts';

export async function createMultipartUpload({ store, bucket, key, headers }: Call): Promise<Reply> {
  const checksum = readChecksum(headers);
  const upload = await createUpload(store, {
    bucket,
    key,
    headers: keptHeaders(headers),
    ...(checksum === undefined ? {} : { checksum }),
  });
  return {
    status: 200,
    headers:
      checksum === undefined
        ? {}
        : {
            'x-amz-checksum-algorithm': checksum.algorithm.toUpperCase(),
            'x-amz-checksum-type': checksum.type,
          },
    body: xmlDocument('InitiateMultipartUploadResult', [
      ['Bucket', bucket],
      ['Key', key],
      ['UploadId', upload.id],
    ]),
  };
}

export async function uploadPart(call: Call): Promise<Reply> {
  const { store, query } = call;
  const number = parsePartNumber(query.get('partNumber') ?? '');
  const upload = await find(call);
  const path = store.temporaryPath();
  const body = await spoolBody({ ...call.body(), checksumAlgorithm: upload.checksum?.algorithm }, path);
  await putPart(store, upload, number, { ...body, path });
  const { 'x-amz-checksum-type': _, ...checksum } = checksumHeaders(body.checksum);
  return { status: 200, headers: { etag: `"${body.md5}"`, ...checksum } };
}

export async function completeMultipartUpload(call: Call): Promise<Reply> {
  const { store, bucket, key, headers } = call;
  const upload = await find(call);
  const body = call.body();
  // A checksum header here is that of the object, not of this list of parts.
  const ofList = Object.entries(body.headers).filter(([name]) => !name.startsWith('x-amz-checksum-'));
  const listed = readParts(
    await readText({ ...body, headers: Object.fromEntries(ofList) }),
    upload.checksum?.algorithm,
  );
  const object = await assemble(store, upload, { listed, maxBytes: call.maxObjectBytes });
  const announced = upload.checksum && headers[`x-amz-checksum-${upload.checksum.algorithm}`];
  if (announced !== undefined && announced !== object.checksum?.value) {
    throw new S3Error('BadDigest', 'The checksum of the object does not match.');
  }
  const version = await store.put(bucket, key, object, (current) => checkWrite(headers, current));
  await removeUpload(store, upload);
  const { checksum } = version;
  return {
    status: 200,
    headers: versionHeader(store.bucket(bucket), version.versionId),
    body: xmlDocument('CompleteMultipartUploadResult', [
      ['Bucket', bucket],
      ['Key', key],
      ['ETag', version.etag],
      [`Checksum${checksum?.algorithm.toUpperCase() ?? ''}`, checksum?.value],
      ['ChecksumType', checksum?.type],
    ]),
  };
}

export async function abortMultipartUpload(call: Call): Promise<Reply> {
  await removeUpload(call.store, await find(call));
  return { status: 204 };
}

function find({ store, bucket, key, query }: Call): Promise<Upload> {
  store.bucket(bucket);
  return findUpload(store, { id: query.get('uploadId') ?? '', bucket, key });
}

/** CRC64NVME can only be of the whole object; the others are of the parts unless the request says else. */
function readChecksum(headers: Record<string, string>): Upload['checksum'] {
  const name = headers['x-amz-checksum-algorithm'];
  if (name === undefined) return undefined;
  const algorithm = parseAlgorithm(name);
  if (algorithm === undefined) throw new S3Error('InvalidRequest', `Unknown checksum algorithm: ${name}.`);
  const type = headers['x-amz-checksum-type'] ?? (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE');
  if (type !== 'FULL_OBJECT' && type !== 'COMPOSITE') {
    throw new S3Error('InvalidRequest', `Unknown checksum type: ${type}.`);
  }
  return { algorithm, type };
}

function readParts(xml: string, algorithm: string | undefined): ListedPart[] {
  const parts = parseXml(xml, 'CompleteMultipartUpload').all('Part');
  if (parts.length === 0) throw new S3Error('MalformedXML', 'An upload needs at least one part.');
  return parts.map((part) => ({
    number: parsePartNumber(part.text('PartNumber') ?? ''),
    etag: part.text('ETag') ?? '',
    checksum: algorithm === undefined ? undefined : part.text(`Checksum${algorithm.toUpperCase()}`),
  }));
}
