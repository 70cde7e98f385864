import type { IncomingMessage } from 'node:http';
import { S3Error } from './s3-error.ts';

const MAX_KEY_BYTES = 1024;

export interface Target {
  /** Decoded. */
  path: string;
  bucket: string;
  key: string;
  query: [name: string, value: string][];
}

/**
 * Takes a path-style request target apart. Dots, slashes and plus signs in a key mean themselves. Throws
 * InvalidURI for what is not percent-encoded UTF-8, KeyTooLongError over 1024 bytes.
 */
export function parseTarget(url: string): Target {
  const question = url.indexOf('?');
  const path = decode(question < 0 ? url : url.slice(0, question));
  const query = (question < 0 ? '' : url.slice(question + 1))
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const equals = pair.indexOf('=');
      return equals < 0
        ? [decode(pair), '']
        : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
    });
  const slash = path.indexOf('/', 1);
  const bucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
  const key = slash < 0 ? '' : path.slice(slash + 1);
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new S3Error('KeyTooLongError', `A key has at most ${MAX_KEY_BYTES} bytes.`);
  }
  return { path, bucket, key, query };
}

/** One string for each header, as they are signed. */
export function plainHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    if (values !== undefined) headers[name] = values.join(',');
  }
  return headers;
}

/** The bytes of the body as they come. Throws RequestTimeout when none come for so long. */
export async function* receiveBytes(request: IncomingMessage, idleTimeoutMs: number): AsyncGenerator<Buffer> {
  // Leaving the loop early must not close the connection: the answer still has to go out on it.
  const chunks = request.iterator({ destroyOnReturn: false });
  for (;;) {
    const { value, done } = await beforeDeadline(chunks.next(), idleTimeoutMs);
    if (done) return;
    yield value;
  }
}

async function beforeDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new S3Error('RequestTimeout', `Nothing was sent for ${timeoutMs} ms.`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error('InvalidURI', 'The URI is not percent-encoded UTF-8.');
  }
}
