import { contentTypeOf } from './content-type.ts';
import { encodePicture, isPicture, type PictureLike } from './encoded-image.ts';
import { InputError } from './errors.ts';
import { causeOf } from './http.ts';
import type { InlineSource, S3Source, UploadSource } from './types.ts';

/**
 * A document: the path of a file (in Node), a URL that is fetched from here, `s3://bucket/key` which the workers fetch,
 * bytes, a stream of bytes, a Blob or File, a canvas or ImageData, or a source of the API as it is.
 */
export type Input =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>
  | Blob
  | PictureLike
  | S3Source
  | InlineSource
  | UploadSource;

/** What the API can be told of a document, or its bytes. */
export type Document =
  | { kind: 'source'; source: S3Source | InlineSource | UploadSource }
  | { kind: 'bytes'; bytes: Uint8Array<ArrayBuffer>; contentType: string };

interface Reading {
  signal: AbortSignal | undefined;
  /** For a URL to be fetched. */
  timeoutMs: number;
}

/** No worker takes more. */
const maxBytes = 500_000_000;

/** Throws an InputError for what cannot be read. */
export async function readInput(input: Input, reading: Reading): Promise<Document> {
  if (typeof input === 'string') return await readText(input, reading);
  if (input instanceof URL) return await readText(input.href, reading);
  if (input instanceof Uint8Array) return document(input);
  if (input instanceof ArrayBuffer) return document(new Uint8Array(input));
  if (input instanceof Blob) return await readBlob(input);
  if (isPicture(input)) return await readBlob(await encodePicture(input, { type: 'image/png' }));
  if (isStream(input)) return document(await collect(input, 'the stream', reading.signal));
  if (typeof input === 'object' && input !== null && 'type' in input)
    return { kind: 'source', source: input };
  throw new InputError(
    'expected a path, a URL, s3://bucket/key, bytes, a stream, a Blob, a canvas or a source of the API',
  );
}

async function readText(text: string, reading: Reading): Promise<Document> {
  if (text.startsWith('s3://')) return { kind: 'source', source: s3Source(text) };
  if (/^(https?|data|blob):/i.test(text)) return await download(text, reading);
  return document(await readFile(/^file:/i.test(text) ? new URL(text) : text, reading.signal));
}

function s3Source(text: string): S3Source {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(text) ?? [];
  if (bucket !== undefined && key !== undefined) return { type: 's3', bucket, key };
  throw new InputError(`expected s3://bucket/key, got ${text}`);
}

/** From here and without the API key: it is for the API alone. */
async function download(url: string, { signal, timeoutMs }: Reading): Promise<Document> {
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      credentials: 'omit',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    });
    if (!response.ok) throw new InputError(`${url} was answered with ${response.status}`);
    if (response.body === null) throw new InputError(`${url} was answered with nothing`);
    return document(await collect(response.body, url, signal));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof InputError) throw error;
    const why = late.aborted ? `nothing came within ${timeoutMs} ms` : causeOf(error);
    throw new InputError(`${url} cannot be fetched: ${why}`, { cause: error });
  }
}

/** Asked of the process and not imported, so that bundlers for browsers do not look for it. */
async function readFile(
  path: string | URL,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') {
    throw new InputError(`expected a URL or s3://bucket/key, got ${path}: there are no files here`);
  }
  try {
    return new Uint8Array(await process.getBuiltinModule('node:fs/promises').readFile(path, { signal }));
  } catch (error) {
    signal?.throwIfAborted();
    throw new InputError(`${path} cannot be read: ${causeOf(error)}`, { cause: error });
  }
}

async function readBlob(blob: Blob): Promise<Document> {
  return document(new Uint8Array(await blob.arrayBuffer()), blob.type);
}

function document(given: Uint8Array, type = ''): Document {
  if (given.length === 0) throw new InputError('expected a document, got no bytes');
  if (given.length > maxBytes)
    throw new InputError(`expected at most ${maxBytes} bytes, got ${given.length}`);
  const bytes =
    given.buffer instanceof ArrayBuffer
      ? new Uint8Array(given.buffer, given.byteOffset, given.length)
      : new Uint8Array(given);
  const plain = /^[a-z]+\/[a-z0-9.+-]+$/.test(type) ? type : undefined;
  return { kind: 'bytes', bytes, contentType: plain ?? contentTypeOf(bytes) };
}

function isStream(input: object): input is AsyncIterable<Uint8Array> | ReadableStream<Uint8Array> {
  return Symbol.asyncIterator in input || 'getReader' in input;
}

async function collect(
  stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of 'getReader' in stream ? chunksOf(stream) : stream) {
    signal?.throwIfAborted();
    if (!(chunk instanceof Uint8Array))
      throw new InputError(`expected ${name} to give bytes, got ${typeof chunk}`);
    size += chunk.length;
    if (size > maxBytes) throw new InputError(`expected at most ${maxBytes} bytes of ${name}`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** Not every browser can iterate over a stream. */
export async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
