import { createHash } from 'node:crypto';
import type { ChunkSigning } from './s3-auth.ts';
import { S3Error } from './s3-error.ts';
import { sameSignature, signChunk, signTrailer } from './s3-signature.ts';

const MAX_LINE_BYTES = 1024;
const MAX_TRAILERS = 16;
const SIGNATURE_TRAILER = 'x-amz-trailer-signature';

export interface ChunkedOptions {
  /** Present when each chunk carries a signature. */
  signing?: ChunkSigning;
  trailers: boolean;
  /** Called once at the end, lower-case names, without the signature. */
  onTrailers: (trailers: Map<string, string>) => void;
}

/**
 * Decodes the aws-chunked framing and yields the payload as it comes, so a caller must not use it before
 * the end: a wrong signature is known only after its chunk. Throws SignatureDoesNotMatch or IncompleteBody.
 */
export async function* decodeChunks(
  source: AsyncIterable<Buffer>,
  { signing, trailers, onTrailers }: ChunkedOptions,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  let signature = signing?.signature ?? '';
  let lastSize: number;
  do {
    const { size, claimed } = parseChunkHeader(await reader.line());
    const hash = createHash('sha256');
    for await (const piece of reader.bytes(size)) {
      if (signing !== undefined) hash.update(piece);
      yield piece;
    }
    if (signing !== undefined) {
      signature = signChunk(signing.key, signing.scope, signature, hash.digest('hex'));
      check(signature, claimed);
    }
    if (size > 0 && (await reader.line()) !== '') throw incomplete('A chunk must end in a line end.');
    lastSize = size;
  } while (lastSize > 0);
  const found = await readTrailers(reader, trailers);
  if (signing !== undefined && trailers) {
    const lines = [...found].filter(([name]) => name !== SIGNATURE_TRAILER);
    const text = lines.map(([name, value]) => `${name}:${value}\n`).join('');
    check(signTrailer(signing.key, signing.scope, signature, text), found.get(SIGNATURE_TRAILER));
  }
  found.delete(SIGNATURE_TRAILER);
  await reader.end();
  onTrailers(found);
}

function parseChunkHeader(line: string): { size: number; claimed: string | undefined } {
  const fields = /^([0-9a-f]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/i.exec(line);
  if (fields === null) throw incomplete('A chunk must begin with its size.');
  return { size: Number.parseInt(fields[1] ?? '', 16), claimed: fields[2] };
}

async function readTrailers(reader: ByteReader, expected: boolean): Promise<Map<string, string>> {
  const trailers = new Map<string, string>();
  for (let line = await reader.line(); line !== ''; line = await reader.line()) {
    const colon = line.indexOf(':');
    if (!expected || colon < 1 || trailers.size >= MAX_TRAILERS) throw incomplete('Unexpected trailer.');
    trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return trailers;
}

function check(expected: string, claimed: string | undefined): void {
  if (claimed === undefined || !sameSignature(expected, claimed)) {
    throw new S3Error('SignatureDoesNotMatch', 'The signature of a chunk differs from the calculated one.');
  }
}

function incomplete(message: string): S3Error {
  return new S3Error('IncompleteBody', message);
}

/** Pulls lines and runs of bytes out of a stream that may be split anywhere. */
class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next line without its CRLF. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf('\r\n');
      if (end > MAX_LINE_BYTES || (end < 0 && this.#rest.length > MAX_LINE_BYTES + 1)) {
        throw incomplete('A line of the framing is too long.');
      }
      if (end >= 0) {
        const line = this.#rest.toString('latin1', 0, end);
        this.#rest = this.#rest.subarray(end + 2);
        return line;
      }
      if (!(await this.#pull())) throw incomplete('The body ended early.');
    }
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    let left = count;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#pull())) throw incomplete('The body ended early.');
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  async end(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#pull())) throw incomplete('The body goes on after its end.');
  }

  async #pull(): Promise<boolean> {
    let { value, done } = await this.#source.next();
    while (!done && value.length === 0) ({ value, done } = await this.#source.next());
    if (done) return false;
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
    return true;
  }
}
