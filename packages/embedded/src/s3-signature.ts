import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Signature Version 4 as published for S3: pure functions, no clock and no request objects. */
export interface SignedRequest {
  method: string;
  /** Decoded path; S3 signs it encoded once and never normalises it. */
  path: string;
  /** Decoded pairs without X-Amz-Signature, in any order. */
  query: [name: string, value: string][];
  /** The signed headers, lower-case names. */
  headers: Record<string, string>;
  payloadHash: string;
}

export interface SignatureScope {
  /** YYYYMMDDTHHMMSSZ */
  timestamp: string;
  region: string;
}

export const EMPTY_SHA256 = sha256('');

/** The credential scope: date/region/s3/aws4_request. */
function scopeText({ timestamp, region }: SignatureScope): string {
  return `${timestamp.slice(0, 8)}/${region}/s3/aws4_request`;
}

/** The HMAC key for one day and region. */
export function signingKey(secret: string, { timestamp, region }: SignatureScope): Buffer {
  return [timestamp.slice(0, 8), region, 's3', 'aws4_request'].reduce<Buffer>(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  );
}

/** Signs a request by its headers or, when the query carries the X-Amz parameters, a presigned URL. */
export function signRequest(key: Buffer, scope: SignatureScope, request: SignedRequest): string {
  const lines = ['AWS4-HMAC-SHA256', scope.timestamp, scopeText(scope), sha256(canonicalRequest(request))];
  return hmac(key, lines.join('\n'));
}

/** Signs one chunk of an aws-chunked body: each signature covers the one before. */
export function signChunk(key: Buffer, scope: SignatureScope, previous: string, chunkHash: string): string {
  const lines = ['AWS4-HMAC-SHA256-PAYLOAD', scope.timestamp, scopeText(scope), previous];
  return hmac(key, [...lines, EMPTY_SHA256, chunkHash].join('\n'));
}

/** Signs the trailers, given as `name:value\n` lines, that follow the last chunk. */
export function signTrailer(key: Buffer, scope: SignatureScope, previous: string, trailers: string): string {
  const lines = ['AWS4-HMAC-SHA256-TRAILER', scope.timestamp, scopeText(scope), previous, sha256(trailers)];
  return hmac(key, lines.join('\n'));
}

/** Compares in a time that does not tell how much of the signature was right. */
export function sameSignature(expected: string, received: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(received)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Percent-encodes every byte but RFC 3986's unreserved ones. */
function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** As uriEncode, with the slashes kept. */
export function uriEncodePath(path: string): string {
  return path.split('/').map(uriEncode).join('/');
}

function canonicalRequest({ method, path, query, headers, payloadHash }: SignedRequest): string {
  const names = Object.keys(headers).sort();
  const pairs = query.map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`).sort(byName);
  return [
    method,
    uriEncodePath(path),
    pairs.join('&'),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payloadHash,
  ].join('\n');
}

/** '=' sorts after '-' and the digits, so `a-b=1` and `a=2` need their names compared alone. */
function byName(a: string, b: string): number {
  const [nameA = '', valueA = ''] = a.split('=');
  const [nameB = '', valueB = ''] = b.split('=');
  if (nameA !== nameB) return nameA < nameB ? -1 : 1;
  return valueA < valueB ? -1 : Number(valueA > valueB);
}

function hmac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
