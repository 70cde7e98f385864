import { Readable } from 'node:stream';
import { JobFailure } from '@glyphmill/contract/failure';

/**
 * Collects an object's body. Throws `document-too-large` before reading when the store says so and while
 * reading when it lied, and stops at once when `signal` fires: no timeout of the SDK covers the body.
 */
export async function readBody(
  answer: { Body?: unknown; ContentLength?: number | undefined },
  { maxBytes, signal }: { maxBytes: number; signal: AbortSignal },
): Promise<Buffer> {
  const { Body: body, ContentLength: length } = answer;
  if (!(body instanceof Readable)) throw new Error('expected the object’s body as a stream');
  // Once the loop below is left early the stream may still fail, for nobody to hear.
  body.on('error', () => {});
  if (length !== undefined && length > maxBytes) {
    body.destroy();
    throw tooLarge(length, maxBytes);
  }
  const abort = () => body.destroy(new Error('the time for this object is over'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (signal.aborted) abort();
    return await collect(body, { length, maxBytes });
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function collect(
  body: Readable,
  limits: { length: number | undefined; maxBytes: number },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limits.maxBytes) throw tooLarge(size, limits.maxBytes);
    chunks.push(chunk);
  }
  if (limits.length !== undefined && size !== limits.length) {
    throw new Error(`the body ended after ${size} of ${limits.length} bytes`);
  }
  return Buffer.concat(chunks, size);
}

function tooLarge(size: number, maxBytes: number): JobFailure {
  return new JobFailure({
    code: 'document-too-large',
    message: `The document has ${size} bytes or more; at most ${maxBytes} are accepted.`,
    retryable: false,
    phase: 'fetch',
  });
}
