import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface AddressGuard {
  /** Whether a connection to this IP address, written as the socket layer writes it, may be made. */
  allows(ip: string): boolean;
}

/**
 * What the IANA special-purpose registries say of these is not known to the parser, or they look like
 * ordinary addresses and are not: 3fff::/20 is for documentation (RFC 9637), 168.63.129.16 answers every
 * Azure machine with its own secrets.
 */
const refusedCidrs = ['3fff::/20', '168.63.129.16/32'].map((cidr) => ipaddr.parseCIDR(cidr));

/** All global unicast that was ever given out; NAT64, IPv4-mapped and -compatible forms lie outside. */
const globalUnicast6 = ipaddr.parseCIDR('2000::/3');

/**
 * Refuses every address that is not public unicast (private, loopback, link-local, cloud metadata,
 * shared, reserved, and IPv6 forms that carry an IPv4 address), unless one of `allowedCidrs` has it.
 * Throws a RangeError that names a CIDR it cannot read.
 */
export function createAddressGuard(options: { allowedCidrs: readonly string[] }): AddressGuard {
  const allowed = options.allowedCidrs.map(parseCidr);
  return {
    allows(ip) {
      // Short, octal and hexadecimal spellings are read differently by different resolvers: refused.
      if (isIP(ip) === 0 || ip.includes('%')) return false;
      const address = ipaddr.parse(ip);
      return allowed.some((cidr) => contains(cidr, address)) || isPublic(address);
    },
  };
}

/**
 * The IP address that a URL's `hostname` stands for without asking a resolver; undefined for a name.
 * `localhost` and names below it are loopback by definition (RFC 6761).
 */
export function literalAddress(hostname: string): string | undefined {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  if (isIP(host) !== 0) return host;
  return host === 'localhost' || host.endsWith('.localhost') ? '127.0.0.1' : undefined;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Cidr = ReturnType<typeof ipaddr.parseCIDR>;

function parseCidr(text: string): Cidr {
  const [address = '', bits = ''] = text.split('/');
  if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits) || !ipaddr.isValidCIDR(text)) {
    throw new RangeError(`expected a CIDR like 10.0.0.0/8 or fd00::/8, got ${JSON.stringify(text)}`);
  }
  return ipaddr.parseCIDR(text);
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast' || refusedCidrs.some((cidr) => contains(cidr, address))) return false;
  if (address instanceof ipaddr.IPv4) return true;
  return contains(globalUnicast6, address) && !isIsatap(address);
}

/** RFC 5214: an interface identifier `[02]00:5efe` followed by an IPv4 address is a tunnel to it. */
function isIsatap(address: ipaddr.IPv6): boolean {
  const [, , , , high = 0, low = 0] = address.parts;
  return (high & 0xfdff) === 0 && low === 0x5efe;
}

function contains([network, bits]: Cidr, address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits);
}
