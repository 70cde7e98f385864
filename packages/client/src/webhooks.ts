import { WebhookVerificationError } from './errors.ts';
import type { BatchEvent, EndpointDisabledEvent, JobEvent, PingEvent } from './types.ts';

/** What a webhook may tell of. A newer API may tell of more: have a default for types that you do not know. */
export type WebhookEvent = JobEvent | BatchEvent | EndpointDisabledEvent | PingEvent;

export interface UnwrapOptions {
  /** How far the clocks of the sender and of this machine may be apart, and how old a delivery may be. */
  toleranceSeconds?: number | undefined;
  /** The time now. */
  nowMs?: number | undefined;
}

type HeadersLike = Headers | Record<string, string | readonly string[] | undefined>;

/**
 * What a delivery tells of, once it is sure that it was sent by whoever has the secret, and just now (Standard
 * Webhooks 1.0). `body` must be the bytes as they came, not what a parser made of them. Throws a
 * WebhookVerificationError.
 */
export async function unwrapWebhook(
  body: string | Uint8Array,
  headers: HeadersLike,
  secret: string,
  { toleranceSeconds = 300, nowMs = Date.now() }: UnwrapOptions = {},
): Promise<WebhookEvent> {
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  const signatures = headerOf(headers, 'webhook-signature');
  expectRecent(timestamp, { toleranceSeconds, nowMs });
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  const key = await keyOf(secret);
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), bytes);
  for (const signature of signatures.split(' ')) {
    const encoded = /^v1,([A-Za-z0-9+/]+={0,2})$/.exec(signature)?.[1];
    // Compares in a time that does not tell how much of it was right.
    if (encoded !== undefined && (await crypto.subtle.verify('HMAC', key, fromBase64(encoded), signed))) {
      return parsed(bytes);
    }
  }
  throw new WebhookVerificationError('The webhook bears no signature by this secret.');
}

function expectRecent(
  timestamp: string,
  { toleranceSeconds, nowMs }: { toleranceSeconds: number; nowMs: number },
): void {
  const seconds = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  if (Math.abs(nowMs / 1000 - seconds) <= toleranceSeconds) return;
  throw new WebhookVerificationError(
    `The webhook is of another time than now: its timestamp is ${timestamp}.`,
  );
}

function headerOf(headers: HeadersLike, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : plainHeader(headers, name);
  if (typeof value === 'string' && value !== '') return value;
  throw new WebhookVerificationError(`The webhook has no header ${name}.`);
}

function plainHeader(headers: Exclude<HeadersLike, Headers>, name: string): unknown {
  return Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

async function keyOf(secret: string) {
  const encoded = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  if (encoded === undefined) throw new WebhookVerificationError('expected a secret like whsec_…');
  const usage = { name: 'HMAC', hash: 'SHA-256' };
  return await crypto.subtle.importKey('raw', fromBase64(encoded), usage, false, ['verify']);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (error) {
    throw new WebhookVerificationError('A signature or a secret is not base64.', { cause: error });
  }
}

function joined(head: Uint8Array, rest: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head.length + rest.length);
  bytes.set(head);
  bytes.set(rest, head.length);
  return bytes;
}

function parsed(bytes: Uint8Array): WebhookEvent {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new WebhookVerificationError('The webhook’s body is not JSON.', { cause: error });
  }
}
