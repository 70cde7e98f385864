import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Reply } from './s3-call.ts';
import { S3Error } from './s3-error.ts';
import { type Fault, withFault } from './s3-faults.ts';
import { xmlDocument } from './s3-xml.ts';

/** Sends a reply, its body with the fault in it, and closes the file it comes from. */
export async function sendReply(
  response: ServerResponse,
  { status, headers = {}, body }: Reply,
  fault: Fault | undefined,
): Promise<void> {
  const file = typeof body === 'object' ? body : undefined;
  try {
    const text = typeof body === 'string' ? body : '';
    const own =
      file !== undefined || headers['content-length'] !== undefined ? {} : textHeaders(status, text);
    response.writeHead(status, { 'x-amz-request-id': randomUUID(), ...own, ...headers });
    if (file === undefined || file.end < file.start) {
      response.end(text);
      return;
    }
    const { handle, start, end } = file;
    const bytes = handle.createReadStream({ start, end, autoClose: false });
    const cut = () => response.socket?.destroySoon();
    await pipeline(withFault(bytes, fault, cut), response);
  } finally {
    await file?.handle.close();
  }
}

/** The XML of an error; of one that is not S3's, InternalError with its message. */
export function errorReply(error: unknown, resource: string): Reply {
  if (error instanceof S3Error) {
    const { status, code, message, headers } = error;
    const closing: Record<string, string> = code === 'RequestTimeout' ? { connection: 'close' } : {};
    return { status, headers: { ...headers, ...closing }, body: errorXml({ code, message, resource }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { status: 500, body: errorXml({ code: 'InternalError', message, resource }) };
}

export function errorXml(error: { code: string; message: string; resource: string }): string {
  return xmlDocument('Error', [
    ['Code', error.code],
    ['Message', error.message],
    ['Resource', error.resource],
  ]);
}

function textHeaders(status: number, text: string): Record<string, string> {
  if (status === 204 || status === 304) return {};
  const type: Record<string, string> = text === '' ? {} : { 'content-type': 'application/xml' };
  return { ...type, 'content-length': String(Buffer.byteLength(text)) };
}
