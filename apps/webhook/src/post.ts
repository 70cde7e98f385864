import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';

export interface Answer {
  status: number;
  retryAfter: string | undefined;
}

/** A receiver may say this much, in its headers and in its body; what follows is not read. */
const maxHeaderBytes = 16_384;
const maxBodyBytes = 65_536;

/**
 * POSTs `body` to the URL at one of `addresses` and resolves with the status. Redirects are not followed.
 * Rejects when no complete head of an answer came before `signal` fired; once it came, the status stands,
 * whatever becomes of the body. No connection outlives the call.
 */
export async function post(options: {
  url: URL;
  addresses: readonly { address: string; family: 4 | 6 }[];
  headers: Record<string, string>;
  body: string;
  signal: AbortSignal;
}): Promise<Answer> {
  const { url, addresses, headers, body, signal } = options;
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const request = send(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
    // A connection kept for later would have been vetted for an earlier answer of the name servers.
    agent: false,
    lookup: pinned(addresses),
    maxHeaderSize: maxHeaderBytes,
    signal,
  });
  try {
    request.end(body);
    const response = await answerOf(request);
    const status = response.statusCode ?? 0;
    await drain(response, signal);
    return { status, retryAfter: response.headers['retry-after'] };
  } finally {
    request.destroy();
  }
}

/** Answers every look-up with the vetted addresses; node asks for one or, to race families, for all. */
function pinned(addresses: readonly { address: string; family: 4 | 6 }[]): LookupFunction {
  return (_hostname, { all }, callback) => {
    const [first] = addresses;
    if (first === undefined) callback(new Error('no address was vetted'), '');
    else if (all) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    // Stays for good: destroying the request later reports one more error that nobody waits for.
    request.on('error', reject);
    request.once('close', () => reject(new Error('the connection was closed before an answer')));
  });
}

/** Lets the receiver finish its answer, within limits: cut off at once, some would take the call for failed. */
async function drain(response: IncomingMessage, signal: AbortSignal): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes > maxBodyBytes || signal.aborted) return;
    }
  } catch {
    // A body cut short or late changes nothing about the status that came before it.
  }
}
