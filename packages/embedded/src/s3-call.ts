import type { FileHandle } from 'node:fs/promises';
import type { IncomingBody } from './s3-body.ts';
import type { Checksum } from './s3-checksums.ts';
import type { Bucket, ObjectStore, ObjectVersion } from './s3-objects.ts';

/** An authentic request on its way through one operation. */
export interface Call {
  store: ObjectStore;
  bucket: string;
  key: string;
  query: Map<string, string>;
  maxObjectBytes: number;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** Asks for the body; nothing is read, nor a waiting client told to send, before. */
  body(): IncomingBody;
}

export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: string | FileRange;
}

/** Bytes start to end (inclusive) of a file, which whoever sends them closes. */
export interface FileRange {
  handle: FileHandle;
  start: number;
  end: number;
}

const KEPT_HEADERS = [
  'content-type',
  'content-language',
  'content-disposition',
  'content-encoding',
  'cache-control',
  'expires',
];

/** The headers of a write that come back with the object; aws-chunked is of the wire, not of the object. */
export function keptHeaders(headers: Record<string, string>): Record<string, string> {
  const kept: Record<string, string> = { 'content-type': 'application/octet-stream' };
  for (const [name, value] of Object.entries(headers)) {
    if (KEPT_HEADERS.includes(name) || name.startsWith('x-amz-meta-')) kept[name] = value;
  }
  const encodings = (kept['content-encoding'] ?? '').split(',').map((encoding) => encoding.trim());
  const encoding = encodings.filter((name) => name !== '' && name !== 'aws-chunked').join(', ');
  delete kept['content-encoding'];
  return encoding === '' ? kept : { ...kept, 'content-encoding': encoding };
}

/** x-amz-version-id, in a bucket that has kept versions. */
export function versionHeader(bucket: Bucket, versionId: string): Record<string, string> {
  return bucket.versioning === 'Off' ? {} : { 'x-amz-version-id': versionId };
}

/** The checksum as headers, empty without one. */
export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {};
  return {
    [`x-amz-checksum-${checksum.algorithm}`]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  };
}

/** ISO 8601, as in S3's XML. */
export function timeText({ lastModifiedMs }: Pick<ObjectVersion, 'lastModifiedMs'>): string {
  return new Date(lastModifiedMs).toISOString();
}
