import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type AddressGuard, literalAddress } from '@glyphmill/service/address-guard';

/** All IP addresses of a name. Rejects when it has none; stops when `signal` fires. */
export type ResolveName = (hostname: string, signal: AbortSignal) => Promise<string[]>;

export type VettedAddresses =
  | { kind: 'allowed'; addresses: { address: string; family: 4 | 6 }[] }
  | { kind: 'literal-refused' }
  | { kind: 'name-refused' }
  | { kind: 'name-unknown' };

/** More addresses than this are not looked at, nor connected to. */
const maxAddresses = 16;
/** For one question to one name server, and how often it is asked. */
const queryTimeoutMs = 2000;
const queryTries = 2;

/**
 * The addresses that a URL's host stands for, provided the guard allows every one of them. One that it
 * refuses spoils all: a name that answers with a public and a private address is an attempt to get at the
 * latter. The connection must go to the addresses returned, not to the name: a second look-up may answer
 * otherwise (DNS rebinding). Rejects only when `signal` fires.
 */
export async function vetHost(
  hostname: string,
  { guard, resolve, signal }: { guard: AddressGuard; resolve: ResolveName; signal: AbortSignal },
): Promise<VettedAddresses> {
  const literal = literalAddress(hostname);
  if (literal !== undefined) {
    return guard.allows(literal)
      ? { kind: 'allowed', addresses: [withFamily(literal)] }
      : { kind: 'literal-refused' };
  }
  const found = await resolve(hostname, signal).catch(() => []);
  signal.throwIfAborted();
  if (found.length === 0) return { kind: 'name-unknown' };
  if (!found.every((ip) => guard.allows(ip))) return { kind: 'name-refused' };
  return { kind: 'allowed', addresses: found.slice(0, maxAddresses).map(withFamily) };
}

/**
 * Asks the name servers (`servers`, by default the system's) rather than the system's resolver: that one runs
 * on the four threads of libuv's pool, where four names whose servers never answer would hold up all
 * others. Names that DNS does not know, from a hosts file or a search domain, are left to the system.
 */
export function createResolver(servers?: readonly string[]): ResolveName {
  return async (hostname, signal) => {
    const resolver = new Resolver({ timeout: queryTimeoutMs, tries: queryTries });
    if (servers !== undefined) resolver.setServers(servers);
    const cancel = () => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
      signal.throwIfAborted();
      const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      if (found.length > 0) return found;
      const failure = answers.find((answer) => answer.status === 'rejected' && !isUnknownName(answer.reason));
      if (failure?.status === 'rejected') throw failure.reason;
      return (await lookup(hostname, { all: true })).map(({ address }) => address);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
}

function isUnknownName(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ENOTFOUND' || error.code === 'ENODATA')
  );
}

function withFamily(address: string): { address: string; family: 4 | 6 } {
  return { address, family: isIP(address) === 6 ? 6 : 4 };
}
