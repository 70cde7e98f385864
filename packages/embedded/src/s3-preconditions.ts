import { S3Error } from './s3-error.ts';
import type { ObjectVersion } from './s3-objects.ts';

/** Throws PreconditionFailed or NotModified as the conditional headers of a read say (RFC 9110, 13.2.2). */
export function checkRead(headers: Record<string, string>, version: ObjectVersion): void {
  const failed = new S3Error('PreconditionFailed', 'A precondition of the request does not hold.');
  const changedAt = Math.floor(version.lastModifiedMs / 1000) * 1000;
  const match = headers['if-match'];
  const unmodifiedSince = Date.parse(headers['if-unmodified-since'] ?? '');
  if (match !== undefined ? !names(match, version) : changedAt > unmodifiedSince) throw failed;
  const noneMatch = headers['if-none-match'];
  const modifiedSince = Date.parse(headers['if-modified-since'] ?? '');
  if (noneMatch !== undefined ? names(noneMatch, version) : changedAt <= modifiedSince) {
    throw new S3Error('NotModified', 'Not modified.', { etag: version.etag });
  }
}

/** Throws PreconditionFailed, or NoSuchKey for If-Match on nothing. */
export function checkWrite(headers: Record<string, string>, current: ObjectVersion | undefined): void {
  const failed = new S3Error('PreconditionFailed', 'A precondition of the request does not hold.');
  const [match, noneMatch] = [headers['if-match'], headers['if-none-match']];
  if (noneMatch !== undefined && noneMatch !== '*') {
    throw new S3Error('NotImplemented', 'A write takes If-None-Match with * only.');
  }
  if (noneMatch === '*' && current !== undefined) throw failed;
  if (match === undefined) return;
  if (current === undefined) throw new S3Error('NoSuchKey', 'The specified key does not exist.');
  if (!names(match, current)) throw failed;
}

/**
 * The bytes a Range header asks for, both ends inclusive. Undefined without one, or for a form that S3
 * ignores (several ranges, another unit). Throws InvalidRange when it begins past the end.
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | undefined {
  const fields = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (fields === null) return undefined;
  const [first, last] = [fields[1] ?? '', fields[2] ?? ''];
  if (first === '' && last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (start > end) {
    throw new S3Error('InvalidRange', 'The range begins past the end.', {
      'content-range': `bytes */${sizeBytes}`,
    });
  }
  return { start, end };
}

function names(header: string, { etag }: ObjectVersion): boolean {
  const tags = header.split(',').map((tag) => tag.trim());
  return tags.includes('*') || tags.includes(etag) || tags.includes(etag.replaceAll('"', ''));
}
