import { S3Error } from './s3-error.ts';
import { EMPTY_SHA256, type SignatureScope, sameSignature, signingKey, signRequest } from './s3-signature.ts';

const MAX_SKEW_MS = 15 * 60 * 1000;
const MAX_EXPIRES_S = 7 * 24 * 60 * 60;
const ALGORITHM = 'AWS4-HMAC-SHA256';
const UNSIGNED = 'UNSIGNED-PAYLOAD';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface AuthRequest {
  method: string;
  /** Decoded. */
  path: string;
  query: [name: string, value: string][];
  headers: Record<string, string>;
}

/** What a chunk's signature is computed from; `signature` is that of the request. */
export interface ChunkSigning {
  key: Buffer;
  scope: SignatureScope;
  signature: string;
}

/** How the body of an authentic request proves itself. */
export type Payload =
  | { kind: 'unsigned' }
  | { kind: 'sha256'; digest: string }
  | { kind: 'chunked'; signing?: ChunkSigning; trailers: boolean };

interface Claim {
  accessKeyId: string;
  scope: SignatureScope;
  signedHeaders: string[];
  signature: string;
  payloadHash: string;
}

/**
 * Checks a SigV4 header or presigned URL for the service s3, in any region. Throws the S3Error that S3
 * would answer; else returns how to read the body.
 */
export function authenticate(request: AuthRequest, credentials: Credentials, nowMs: number): Payload {
  const presigned = request.query.some(([name]) => name === 'X-Amz-Signature');
  const claim = presigned ? readQuery(request, nowMs) : readHeaders(request, nowMs);
  if (!sameSignature(credentials.accessKeyId, claim.accessKeyId)) {
    throw new S3Error('InvalidAccessKeyId', 'The access key id does not exist in our records.');
  }
  checkSignedHeaders(request, claim.signedHeaders);
  const key = signingKey(credentials.secretAccessKey, claim.scope);
  const expected = signRequest(key, claim.scope, {
    ...request,
    query: request.query.filter(([name]) => name !== 'X-Amz-Signature'),
    headers: Object.fromEntries(claim.signedHeaders.map((name) => [name, request.headers[name] ?? ''])),
    payloadHash: claim.payloadHash,
  });
  if (!sameSignature(expected, claim.signature)) {
    throw new S3Error('SignatureDoesNotMatch', 'The signature differs from the one we calculated.');
  }
  return readPayloadKind(claim.payloadHash, { key, scope: claim.scope, signature: claim.signature });
}

function readHeaders({ headers }: AuthRequest, nowMs: number): Claim {
  const header = headers.authorization;
  if (header === undefined) throw new S3Error('AccessDenied', 'Anonymous requests are not allowed.');
  const fields =
    /^AWS4-HMAC-SHA256\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (fields === null) {
    throw new S3Error('AuthorizationHeaderMalformed', `The authorization header must be ${ALGORITHM}.`);
  }
  const timestamp = headers['x-amz-date'] ?? '';
  const sentMs = parseTimestamp(timestamp);
  if (sentMs === undefined) throw new S3Error('AccessDenied', 'A signed request needs x-amz-date.');
  if (Math.abs(nowMs - sentMs) > MAX_SKEW_MS) {
    throw new S3Error('RequestTimeTooSkewed', 'The request time and our clock are too far apart.');
  }
  const payloadHash = headers['x-amz-content-sha256'];
  if (payloadHash === undefined) throw new S3Error('InvalidRequest', 'x-amz-content-sha256 is missing.');
  return {
    ...readCredential(fields[1] ?? '', timestamp, 'AuthorizationHeaderMalformed'),
    signedHeaders: (fields[2] ?? '').split(';'),
    signature: fields[3] ?? '',
    payloadHash,
  };
}

function readQuery({ query, headers }: AuthRequest, nowMs: number): Claim {
  const value = (name: string) => query.find(([found]) => found === name)?.[1] ?? '';
  const malformed = (message: string) => new S3Error('AuthorizationQueryParametersError', message);
  const expiresS = Number(value('X-Amz-Expires') || Number.NaN);
  if (value('X-Amz-Algorithm') !== ALGORITHM) throw malformed(`X-Amz-Algorithm must be ${ALGORITHM}.`);
  if (!Number.isInteger(expiresS) || expiresS < 1 || expiresS > MAX_EXPIRES_S) {
    throw malformed(`X-Amz-Expires must be 1 to ${MAX_EXPIRES_S} seconds.`);
  }
  const timestamp = value('X-Amz-Date');
  const sentMs = parseTimestamp(timestamp);
  if (sentMs === undefined) throw malformed('X-Amz-Date must be YYYYMMDDTHHMMSSZ.');
  if (sentMs - nowMs > MAX_SKEW_MS) throw new S3Error('AccessDenied', 'The request is not yet valid.');
  if (nowMs > sentMs + expiresS * 1000) throw new S3Error('AccessDenied', 'Request has expired.');
  return {
    ...readCredential(value('X-Amz-Credential'), timestamp, 'AuthorizationQueryParametersError'),
    signedHeaders: value('X-Amz-SignedHeaders').split(';'),
    signature: value('X-Amz-Signature'),
    // The SDK signs the placeholder whether it names it in the query or not.
    payloadHash: headers['x-amz-content-sha256'] ?? (value('X-Amz-Content-Sha256') || UNSIGNED),
  };
}

function readCredential(
  credential: string,
  timestamp: string,
  code: 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError',
): { accessKeyId: string; scope: SignatureScope } {
  const fields = /^(.+)\/(\d{8})\/([a-z0-9-]+)\/s3\/aws4_request$/.exec(credential);
  if (fields === null || fields[2] !== timestamp.slice(0, 8)) {
    throw new S3Error(code, 'The credential must be KEY/DATE/REGION/s3/aws4_request, with the date signed.');
  }
  return { accessKeyId: fields[1] ?? '', scope: { timestamp, region: fields[3] ?? '' } };
}

/** An x-amz header that is not signed could be added or changed on the way. */
function checkSignedHeaders({ headers }: AuthRequest, signedHeaders: string[]): void {
  const needed = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const missing = needed.filter((name) => !signedHeaders.includes(name));
  if (missing.length > 0) {
    throw new S3Error('AccessDenied', `There were headers that were not signed: ${missing.join(', ')}.`);
  }
}

function readPayloadKind(hash: string, signing: ChunkSigning): Payload {
  if (/^[0-9a-f]{64}$/.test(hash)) return { kind: 'sha256', digest: hash };
  switch (hash) {
    case UNSIGNED:
      return { kind: 'unsigned' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', signing, trailers: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', signing, trailers: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', trailers: true };
    default:
      throw new S3Error('InvalidArgument', `x-amz-content-sha256 must be a digest like ${EMPTY_SHA256}.`);
  }
}

function parseTimestamp(text: string): number | undefined {
  const fields = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (fields === null) return undefined;
  const [, year, month, day, hour, minute, second] = fields;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
