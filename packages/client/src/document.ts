import type { CallOptions, Http } from './http.ts';
import { type Document, type Input, readInput } from './input.ts';
import type { InlineSource, S3Source, UploadSource } from './types.ts';
import { sendUpload } from './uploads.ts';

export type Source = S3Source | InlineSource | UploadSource;

/** Larger documents are uploaded to the store instead of going through the API in base64. */
const inlineBytes = 4_000_000;

/** What a job is told of a document: bytes come with the request, or are uploaded where they are many. */
export async function toSource(
  http: Http,
  input: Input,
  { signal, maxInlineBytes = inlineBytes }: CallOptions & { maxInlineBytes?: number },
): Promise<Source> {
  const document = await openInput(http, input, signal);
  if (document.kind === 'source') return document.source;
  const { bytes, contentType } = document;
  if (bytes.length <= maxInlineBytes) return { type: 'inline', contentType, data: toBase64(bytes) };
  return await sendUpload(http, { bytes, contentType }, { signal });
}

export async function openInput(
  http: Http,
  input: Input,
  signal: AbortSignal | undefined,
): Promise<Document> {
  return await readInput(input, { signal, timeoutMs: http.timeoutMs });
}

/** By pieces: a call takes only so many arguments. Each is a multiple of 3 bytes, so that they can be joined. */
function toBase64(bytes: Uint8Array): string {
  const pieceBytes = 24_576;
  let text = '';
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    text += btoa(String.fromCharCode(...bytes.subarray(start, start + pieceBytes)));
  }
  return text;
}
