import { setTimeout as delay } from 'node:timers/promises';

const DRIP_INTERVAL_MS = 50;

/**
 * What a test makes go wrong. The last three act on the bytes that cross the wire: those of the answer for
 * a read, those of the request for a write. `hangMs` and they are followed by the operation itself.
 */
export type Fault =
  | { status: number; code: string }
  | { hangMs: number }
  | { dripBytesPerSecond: number }
  /** The connection is cut after so many bytes. */
  | { truncateAt: number }
  /** The bits of the byte at this offset are flipped. */
  | { corruptByteAt: number };

export interface InterceptedRequest {
  method: string;
  /** Empty for an operation on no bucket, as is the key for one on no object. */
  bucket: string;
  key: string;
  operation: string;
}

/** Asked for each authentic request; undefined lets it pass. */
export type Intercept = (request: InterceptedRequest) => Fault | undefined;

/** Passes the bytes on with the fault in them; `cut` ends the connection. */
export async function* withFault(
  source: AsyncIterable<Buffer>,
  fault: Fault | undefined,
  cut: () => void,
): AsyncGenerator<Buffer> {
  let offset = 0;
  for await (const bytes of source) {
    if (fault !== undefined && 'truncateAt' in fault && offset + bytes.length > fault.truncateAt) {
      yield bytes.subarray(0, fault.truncateAt - offset);
      cut();
      return;
    }
    if (fault !== undefined && 'dripBytesPerSecond' in fault) yield* drip(bytes, fault.dripBytesPerSecond);
    else if (fault !== undefined && 'corruptByteAt' in fault)
      yield corrupt(bytes, fault.corruptByteAt - offset);
    else yield bytes;
    offset += bytes.length;
  }
}

async function* drip(bytes: Buffer, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const step = Math.max(1, Math.round((bytesPerSecond * DRIP_INTERVAL_MS) / 1000));
  for (let start = 0; start < bytes.length; start += step) {
    yield bytes.subarray(start, start + step);
    await delay((step * 1000) / bytesPerSecond);
  }
}

function corrupt(bytes: Buffer, index: number): Buffer {
  const copy = Buffer.from(bytes);
  const byte = copy[index];
  if (byte !== undefined) copy[index] = byte ^ 0xff;
  return copy;
}
