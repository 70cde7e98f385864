import type { Delivery } from '@glyphmill/contract/event';
import type { DeliveryOutcome } from '@glyphmill/queue/deliveries';
import type { AddressGuard } from '@glyphmill/service/address-guard';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import { type ResolveName, vetHost } from './address.ts';
import type { HostLimit } from './host-limit.ts';
import { post } from './post.ts';
import { retryAfterMs } from './schedule.ts';
import { signatureHeaders } from './sign.ts';

export interface DeliverOptions {
  signingKey: string;
  allowHttp: boolean;
  timeoutMs: number;
  userAgent: string;
  guard: AddressGuard;
  resolve: ResolveName;
  hostLimit: HostLimit;
}

/** One attempt to hand an event to its receiver, over within `timeoutMs`. Never rejects for what a receiver does. */
export async function deliver(delivery: Delivery, options: DeliverOptions): Promise<DeliveryOutcome> {
  const url = URL.canParse(delivery.url) ? new URL(delivery.url) : undefined;
  if (url === undefined) return { kind: 'give-up', reason: 'the address is no URL' };
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && options.allowHttp)) {
    return { kind: 'give-up', reason: `${url.protocol} is not allowed` };
  }
  const place = options.hostLimit.enter(url.host);
  if ('waitMs' in place) return { kind: 'later', afterMs: place.waitMs };
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), options.timeoutMs);
  try {
    return await attempt({ delivery, url, options, signal: deadline.signal });
  } catch (error) {
    const reason = deadline.signal.aborted ? `no answer within ${options.timeoutMs} ms` : describe(error);
    return { kind: 'retry', reason };
  } finally {
    clearTimeout(timer);
    place.release();
  }
}

async function attempt({
  delivery,
  url,
  options,
  signal,
}: {
  delivery: Delivery;
  url: URL;
  options: DeliverOptions;
  signal: AbortSignal;
}): Promise<DeliveryOutcome> {
  const { guard, resolve, signingKey, userAgent } = options;
  const vetted = await before(signal, vetHost(url.hostname, { guard, resolve, signal }));
  // An address in the URL stays what it is. A name may resolve otherwise tomorrow, and asking again costs
  // a look-up and never a connection.
  if (vetted.kind === 'literal-refused') return { kind: 'give-up', reason: 'the address is not allowed' };
  if (vetted.kind === 'name-refused') {
    return { kind: 'retry', reason: 'the name resolves to an address that is not allowed' };
  }
  const { id, tenant, body } = delivery;
  const secret = tenantWebhookSecret(signingKey, tenant);
  const { status, retryAfter } = await post({
    url,
    addresses: vetted.addresses,
    headers: {
      'content-type': 'application/json',
      'user-agent': userAgent,
      ...signatureHeaders({ id, body, secret, nowMs: Date.now() }),
    },
    body,
    signal,
  });
  return outcomeOf(status, retryAfter);
}

function outcomeOf(status: number, retryAfter: string | undefined): DeliveryOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  const reason = `status ${status}`;
  if (status === 410) return { kind: 'give-up', reason };
  return { kind: 'retry', reason, afterMs: retryAfterMs(retryAfter, Date.now()) };
}

/** Rejects when `signal` fires first: a resolver may not heed it. */
async function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new Error('out of time'));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** An error code such as ECONNREFUSED, which unlike messages names no address. */
function describe(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}
