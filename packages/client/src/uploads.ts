import { ConnectionError, UploadError } from './errors.ts';
import { type CallOptions, causeOf, type Http } from './http.ts';
import { isWorthRetrying, pause, retryDelayMs } from './retry.ts';
import type { Upload, UploadSource } from './types.ts';

interface Bytes {
  bytes: Uint8Array<ArrayBuffer>;
  contentType: string;
}

/** Longest time for a whole upload; the API's addresses are good for less. */
const putTimeoutMs = 900_000;

/** Uploads a document to the object store, for one job to read. */
export async function sendUpload(
  http: Http,
  document: Bytes,
  { signal }: CallOptions,
): Promise<UploadSource> {
  const { bytes, contentType } = document;
  const upload = await createUpload(http, { contentType, sizeBytes: bytes.length }, { signal });
  for (let tries = 1; ; tries += 1) {
    const error = await put(upload, document, signal);
    if (error === undefined) return { type: 'upload', uploadId: upload.uploadId };
    const isFinal =
      error instanceof UploadError && !isWorthRetrying({ status: error.status, code: undefined });
    if (isFinal || tries > http.maxRetries) throw error;
    await pause(retryDelayMs(tries, undefined), signal);
  }
}

export async function createUpload(
  http: Http,
  json: { contentType: string; sizeBytes: number },
  options: CallOptions,
): Promise<Upload> {
  return await http.json<Upload>({ ...options, method: 'POST', path: '/v1/uploads', json });
}

/** Straight to the store: the address is signed, and the API key is not for it. */
async function put(
  upload: Upload,
  { bytes }: Bytes,
  signal: AbortSignal | undefined,
): Promise<Error | undefined> {
  const late = AbortSignal.timeout(putTimeoutMs);
  try {
    const response = await fetch(upload.url, {
      method: upload.method,
      headers: upload.headers,
      body: bytes,
      redirect: 'error',
      credentials: 'omit',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    });
    if (response.ok) return undefined;
    const text = (await response.text()).slice(0, 300);
    return new UploadError(`The store answered the upload with ${response.status}: ${text}`, response.status);
  } catch (error) {
    signal?.throwIfAborted();
    return new ConnectionError(`The upload to ${new URL(upload.url).host} failed: ${causeOf(error)}.`, {
      cause: error,
    });
  }
}
