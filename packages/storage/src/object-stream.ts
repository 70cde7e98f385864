import { Readable } from 'node:stream';
import { JobFailure } from '@glyphmill/contract/failure';

/**
 * The bytes of an object's body as they come. Throws when it falls silent for `silenceMs`, which no timeout of the SDK
 * covers, when it ends early, and when `signal` fires. What its reader takes to come back for more does not count.
 */
export async function* streamBody(
  answer: { Body?: unknown; ContentLength?: number | undefined },
  { silenceMs, signal }: { silenceMs: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const { Body: body, ContentLength: length } = answer;
  if (!(body instanceof Readable)) throw new Error('expected the object’s body as a stream');
  // Once the reader has left, the stream may still fail, for nobody to hear.
  body.on('error', () => {});
  const abort = () => body.destroy(new Error('nobody wants this object any more'));
  signal.addEventListener('abort', abort, { once: true });
  const silent = () => body.destroy(tooSilent(silenceMs));
  let timer = setTimeout(silent, silenceMs);
  let size = 0;
  try {
    if (signal.aborted) abort();
    for await (const chunk of body) {
      clearTimeout(timer);
      size += chunk.length;
      yield chunk;
      timer = setTimeout(silent, silenceMs);
    }
    if (length !== undefined && size !== length) {
      throw new Error(`the body ended after ${size} of ${length} bytes`);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
}

function tooSilent(silenceMs: number): JobFailure {
  return new JobFailure({
    code: 'source-timeout',
    message: `The store sent nothing of the object for ${silenceMs / 1000} s.`,
    retryable: true,
    phase: 'fetch',
  });
}
