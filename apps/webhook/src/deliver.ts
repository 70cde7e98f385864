import type { Delivery } from '@glyphmill/contract/delivery';
import type { DeliveryOutcome } from '@glyphmill/queue/delivery-outcome';
import type { Target } from '@glyphmill/queue/delivery-target';
import type { AddressGuard } from '@glyphmill/service/address-guard';
import { type ResolveName, vetHost } from './address.ts';
import type { Claim, PlaceLimit } from './place-limit.ts';
import { post } from './post.ts';
import { retryAfterMs } from './schedule.ts';
import { signatureHeaders } from './sign.ts';

export interface DeliverOptions {
  /** The secrets that sign what goes to this target; none when those of its endpoint cannot be opened. */
  secretsOf: (tenant: string, target: Target) => string[];
  allowHttp: boolean;
  timeoutMs: number;
  userAgent: string;
  guard: AddressGuard;
  resolve: ResolveName;
  places: PlaceLimit;
  /** What a delivery takes places of. */
  claimsOf: (delivery: { tenant: string; target: Target; host: string }) => Claim[];
}

/** One attempt to hand an event to its receiver, over within `timeoutMs`. Never rejects for what a receiver does. */
export async function deliver(
  delivery: Delivery,
  target: Target,
  options: DeliverOptions,
): Promise<DeliveryOutcome> {
  const url = URL.canParse(target.url) ? new URL(target.url) : undefined;
  if (url === undefined) return { kind: 'give-up', cause: 'address', reason: 'the address is no URL' };
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && options.allowHttp)) {
    return { kind: 'give-up', cause: 'address', reason: `${url.protocol} is not allowed` };
  }
  const { tenant } = delivery;
  const secrets = options.secretsOf(tenant, target);
  if (secrets.length === 0) return { kind: 'retry', cause: 'secret', reason: noSecret };
  const place = options.places.enter(options.claimsOf({ tenant, target, host: url.host }));
  if ('waitMs' in place) return { kind: 'later', afterMs: place.waitMs };
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), options.timeoutMs);
  try {
    return await attempt({ delivery, url, secrets, options, signal: deadline.signal });
  } catch (error) {
    return deadline.signal.aborted
      ? { kind: 'retry', cause: 'timeout', reason: `no answer within ${options.timeoutMs} ms` }
      : { kind: 'retry', cause: 'connection', reason: describe(error) };
  } finally {
    clearTimeout(timer);
    place.release();
  }
}

const noSecret = 'the endpoint’s secret cannot be used any more; rotate it';

/** The same for a name that is not known and for one that leads inside: a tenant does not learn which names we know. */
const badName = 'the name does not lead to an address that may be called';

interface Attempt {
  delivery: Delivery;
  url: URL;
  secrets: readonly string[];
  options: DeliverOptions;
  signal: AbortSignal;
}

async function attempt({ delivery, url, secrets, options, signal }: Attempt): Promise<DeliveryOutcome> {
  const { guard, resolve, userAgent } = options;
  const vetted = await before(signal, vetHost(url.hostname, { guard, resolve, signal }));
  // An address in the URL stays what it is. A name may resolve otherwise tomorrow, and asking again costs
  // a look-up and never a connection.
  if (vetted.kind === 'literal-refused') {
    return { kind: 'give-up', cause: 'address', reason: 'the address is not allowed' };
  }
  if (vetted.kind === 'name-refused') return { kind: 'retry', cause: 'address', reason: badName };
  if (vetted.kind === 'name-unknown') return { kind: 'retry', cause: 'name', reason: badName };
  const { eventId: id, body } = delivery;
  const { status, retryAfter } = await post({
    url,
    addresses: vetted.addresses,
    headers: {
      'content-type': 'application/json',
      'user-agent': userAgent,
      ...signatureHeaders({ id, body, secrets, nowMs: Date.now() }),
    },
    body,
    signal,
  });
  return outcomeOf(status, retryAfter);
}

function outcomeOf(statusCode: number, retryAfter: string | undefined): DeliveryOutcome {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered', statusCode };
  const trouble = { cause: 'status' as const, reason: `status ${statusCode}`, statusCode };
  if (statusCode === 410) return { kind: 'give-up', ...trouble };
  return { kind: 'retry', ...trouble, afterMs: retryAfterMs(retryAfter, Date.now()) };
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
