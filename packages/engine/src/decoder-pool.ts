import { Budget } from './budget.ts';
import { type Decoder, type DecoderOptions, startDecoder } from './decoder.ts';

/** A fixed number of decoding children, each lent to one document at a time. */
export interface DecoderPool {
  use<T>(signal: AbortSignal, work: (decoder: Decoder) => Promise<T>): Promise<T>;
  close(): void;
}

/** A child whose memory stayed above this after a document is replaced. */
const keptRssBytes = 400_000_000;

export function openDecoderPool(options: DecoderOptions & { decoders: number }): DecoderPool {
  const places = new Budget(options.decoders);
  // Started ahead, so that the first documents do not wait for processes to start.
  const idle: Decoder[] = Array.from({ length: options.decoders }, () => startDecoder(options));
  const lent = new Set<Decoder>();
  let closed = false;

  function lend(): Decoder {
    if (closed) throw new Error('expected the decoders to be open');
    for (let decoder = idle.pop(); decoder !== undefined; decoder = idle.pop())
      if (decoder.alive) return decoder;
    return startDecoder(options);
  }

  /** Whatever became of the document, what goes back to the pool is a child that forgot it. */
  async function takeBack(decoder: Decoder): Promise<void> {
    if (!decoder.alive || closed) return decoder.kill();
    try {
      const { rssBytes } = await decoder.reset(AbortSignal.timeout(options.deadlineMs));
      if (rssBytes > keptRssBytes || closed) decoder.kill();
      else idle.push(decoder);
    } catch {
      // It hangs or died on something nobody waits for: the next document gets a new one.
      decoder.kill();
    }
  }

  return {
    async use(signal, work) {
      const free = await places.take(1, signal);
      const decoder = lend();
      lent.add(decoder);
      try {
        return await work(decoder);
      } finally {
        lent.delete(decoder);
        await takeBack(decoder);
        free();
      }
    },
    close() {
      closed = true;
      for (const decoder of [...idle, ...lent]) decoder.kill();
    },
  };
}
