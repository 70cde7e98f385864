import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Payload } from './s3-auth.ts';
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  parseAlgorithm,
  startChecksum,
} from './s3-checksums.ts';
import { decodeChunks } from './s3-chunks.ts';
import { S3Error } from './s3-error.ts';

const MAX_TEXT_BYTES = 8 * 1024 * 1024;

export interface IncomingBody {
  source: AsyncIterable<Buffer>;
  headers: Record<string, string>;
  payload: Payload;
  maxBytes: number;
  /** Checksum to take where the request names none: that of a multipart upload, or of a copied object. */
  checksumAlgorithm?: ChecksumAlgorithm | undefined;
}

export interface VerifiedBody {
  sizeBytes: number;
  /** Hexadecimal. */
  md5: string;
  checksum?: Checksum;
}

/**
 * Writes the payload of a request to a file and checks all that the request says of it: length, SHA-256 or
 * chunk signatures, Content-MD5 and checksum. On any failure the file is removed and an S3Error thrown.
 */
export async function spoolBody(body: IncomingBody, path: string): Promise<VerifiedBody> {
  try {
    const verified = verify(body);
    await pipeline(verified.chunks, createWriteStream(path, { flags: 'wx' }));
    return verified.result();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** The verified payload of a request that is XML. */
export async function readText(body: IncomingBody): Promise<string> {
  const verified = verify({ ...body, maxBytes: MAX_TEXT_BYTES });
  const chunks: Buffer[] = [];
  for await (const chunk of verified.chunks) chunks.push(chunk);
  verified.result();
  return Buffer.concat(chunks).toString('utf8');
}

interface Expectations {
  sizeBytes: number;
  sha256: string | undefined;
  md5: Buffer | undefined;
  algorithm: ChecksumAlgorithm | undefined;
  /** Undefined where the value comes in a trailer, or never. */
  checksum: string | undefined;
  trailer: string | undefined;
}

function verify(body: IncomingBody): { chunks: AsyncIterable<Buffer>; result(): VerifiedBody } {
  const expected = readExpectations(body);
  if (expected.sizeBytes > body.maxBytes) {
    throw new S3Error('EntityTooLarge', `At most ${body.maxBytes} bytes are accepted.`);
  }
  const [md5, sha256] = [createHash('md5'), createHash('sha256')];
  const state = expected.algorithm === undefined ? undefined : startChecksum(expected.algorithm);
  let trailers = new Map<string, string>();
  let sizeBytes = 0;
  async function* chunks(): AsyncGenerator<Buffer> {
    const { payload, source } = body;
    const onTrailers = (found: Map<string, string>) => {
      trailers = found;
    };
    const decoded = payload.kind === 'chunked' ? decodeChunks(source, { ...payload, onTrailers }) : source;
    for await (const bytes of decoded) {
      sizeBytes += bytes.length;
      if (sizeBytes > expected.sizeBytes) throw new S3Error('IncompleteBody', 'More bytes than announced.');
      md5.update(bytes);
      if (expected.sha256 !== undefined) sha256.update(bytes);
      state?.update(bytes);
      yield bytes;
    }
  }
  const result = (): VerifiedBody => {
    if (sizeBytes < expected.sizeBytes) throw new S3Error('IncompleteBody', 'Fewer bytes than announced.');
    if (expected.sha256 !== undefined && sha256.digest('hex') !== expected.sha256) {
      throw new S3Error('XAmzContentSHA256Mismatch', 'x-amz-content-sha256 does not match the body.');
    }
    const digest = md5.digest();
    if (expected.md5 !== undefined && !digest.equals(expected.md5)) {
      throw new S3Error('BadDigest', 'Content-MD5 does not match the body.');
    }
    const verified: VerifiedBody = { sizeBytes, md5: digest.toString('hex') };
    if (state === undefined || expected.algorithm === undefined) return verified;
    const value = state.digest().toString('base64');
    checkChecksum(expected, value, trailers);
    return { ...verified, checksum: { algorithm: expected.algorithm, value, type: 'FULL_OBJECT' } };
  };
  return { chunks: chunks(), result };
}

function checkChecksum(expected: Expectations, value: string, trailers: Map<string, string>): void {
  const announced = expected.trailer === undefined ? expected.checksum : trailers.get(expected.trailer);
  if (expected.trailer !== undefined && announced === undefined) {
    throw new S3Error('InvalidRequest', `The trailer ${expected.trailer} was announced and did not come.`);
  }
  if (announced !== undefined && announced !== value) {
    throw new S3Error('BadDigest', `The ${expected.algorithm?.toUpperCase()} you specified does not match.`);
  }
}

function readExpectations({ headers, payload, checksumAlgorithm }: IncomingBody): Expectations {
  const length =
    headers[payload.kind === 'chunked' ? 'x-amz-decoded-content-length' : 'content-length'] ?? '';
  if (!/^\d{1,15}$/.test(length)) throw new S3Error('MissingContentLength', 'The length is missing.');
  const named = CHECKSUM_ALGORITHMS.filter((name) => headers[`x-amz-checksum-${name}`] !== undefined);
  const trailer = headers['x-amz-trailer']?.trim().toLowerCase();
  const inTrailer =
    trailer === undefined ? undefined : parseAlgorithm(trailer.replace('x-amz-checksum-', ''));
  if (trailer !== undefined && (inTrailer === undefined || payload.kind !== 'chunked')) {
    throw new S3Error('InvalidRequest', 'x-amz-trailer must name one checksum of an aws-chunked body.');
  }
  if (named.length + (trailer === undefined ? 0 : 1) > 1) {
    throw new S3Error('InvalidRequest', 'Only one checksum may be given.');
  }
  const algorithm = inTrailer ?? named[0] ?? checksumAlgorithm;
  return {
    sizeBytes: Number(length),
    sha256: payload.kind === 'sha256' ? payload.digest : undefined,
    md5: readMd5(headers['content-md5']),
    algorithm,
    checksum: algorithm === undefined ? undefined : headers[`x-amz-checksum-${algorithm}`],
    trailer,
  };
}

function readMd5(header: string | undefined): Buffer | undefined {
  if (header === undefined) return undefined;
  const digest = Buffer.from(header, 'base64');
  if (digest.length !== 16) throw new S3Error('InvalidDigest', 'Content-MD5 must be 16 bytes in base64.');
  return digest;
}
