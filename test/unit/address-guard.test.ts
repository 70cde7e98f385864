import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { createAddressGuard, literalAddress } from '@glyphmill/service/address-guard';
import fc from 'fast-check';
import { impossibleHosts, refusedLiterals, refusedUserinfo } from './refused-hosts.ts';

const publicAddresses = [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.216.34',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '192.0.1.1',
  '192.167.255.255',
  '198.17.255.255',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2001:4860:4860::8888',
  '2a00:1450:4001:81b::200e',
  '2001:4860:4860:0:0:0:0:8888',
];

const refusedAddresses = [
  // this host, loopback
  '0.0.0.0',
  '0.1.2.3',
  '127.0.0.1',
  '127.255.255.254',
  '::',
  '::1',
  '0:0:0:0:0:0:0:1',
  // private and shared
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '192.168.255.255',
  '100.64.0.1',
  '100.127.255.255',
  'fc00::1',
  'fd12:3456:789a::1',
  'fec0::1',
  // link-local and cloud metadata
  '169.254.0.1',
  '169.254.169.254',
  '169.254.170.2',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  'fe80::1',
  'febf::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  // documentation, benchmarking, reserved, broadcast, multicast
  '192.0.2.1',
  '198.51.100.7',
  '203.0.113.9',
  '198.18.0.1',
  '198.19.255.255',
  '192.88.99.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '2001:db8::1',
  '3fff::1',
  '2001:2::1',
  '100::1',
  'ff02::1',
  'ff0e::1',
  // not given out, or given out for something else
  '4000::1',
  '5f00::1',
  '8000::1',
  // IPv6 forms that carry an IPv4 address
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:10.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:8.8.8.8',
  '0:0:0:0:0:ffff:7f00:0001',
  '::127.0.0.1',
  '::10.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b::169.254.169.254',
  '64:ff9b:1::a00:1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '2001::1',
  '2001:0:7f00:1::80ff:fffe',
  '2606:4700::5efe:127.0.0.1',
  '2606:4700::200:5efe:a00:1',
  // spellings that resolvers and libraries read differently
  '',
  ' 8.8.8.8',
  '8.8.8.8 ',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '017700000001',
  '08.8.8.8',
  '8.8.8',
  '8.8.8.8.',
  '8.8.8.8/32',
  '[::1]',
  '[2606:4700:4700::1111]',
  '2606:4700:4700::1111%1',
  'localhost',
  'example.com',
  '１２７.0.0.1',
  '256.1.1.1',
  '1.2.3.4.5',
  ':::1',
];

test('public unicast addresses are allowed', () => {
  const guard = createAddressGuard({ allowedCidrs: [] });
  assert.deepEqual(
    publicAddresses.filter((ip) => !guard.allows(ip)),
    [],
  );
});

test('every address that is not public unicast is refused, however it is spelled', () => {
  const guard = createAddressGuard({ allowedCidrs: [] });
  assert.deepEqual(
    refusedAddresses.filter((ip) => guard.allows(ip)),
    [],
  );
});

test('an allowed CIDR opens exactly its own addresses', () => {
  const guard = createAddressGuard({ allowedCidrs: ['10.1.0.0/16', 'fd00::/16', '127.0.0.1/32'] });
  for (const ip of ['10.1.0.0', '10.1.255.255', 'fd00::1', '127.0.0.1'])
    assert.equal(guard.allows(ip), true, ip);
  for (const ip of [
    '10.0.255.255',
    '10.2.0.0',
    'fd01::1',
    '127.0.0.2',
    '::ffff:10.1.0.1',
    '::ffff:127.0.0.1',
  ]) {
    assert.equal(guard.allows(ip), false, ip);
  }
});

test('no spelling of such an address as the host of a URL gets past, and there are more than 120', () => {
  const guard = createAddressGuard({ allowedCidrs: [] });
  const spellings = [...refusedLiterals, ...refusedUserinfo];
  assert.ok(new Set(refusedLiterals).size > 120, `${new Set(refusedLiterals).size} spellings`);
  assert.deepEqual(
    spellings.filter((host) => {
      const literal = literalAddress(new URL(`https://${host}/`).hostname);
      return literal === undefined || guard.allows(literal);
    }),
    [],
  );
  assert.deepEqual(
    impossibleHosts.filter((host) => URL.canParse(`https://${host}/`)),
    [],
  );
});

test('an allowed CIDR opens the spellings of its own addresses and no other', () => {
  const guard = createAddressGuard({ allowedCidrs: ['10.0.0.0/8', '::1/128'] });
  const opened = refusedLiterals.filter((host) =>
    guard.allows(literalAddress(new URL(`https://${host}/`).hostname) ?? ''),
  );
  assert.deepEqual(opened, [
    '10.0.0.1',
    '10.1',
    '012.1',
    '0xa.1',
    '0xa000001',
    '167772161',
    '10.255.255.255',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[0000::0001]',
    '[::0.0.0.1]',
    '[::1]#@[2606:4700:4700::1111]',
    '10.0.0.1:443',
  ]);
});

test('a CIDR that cannot be read is refused by name', () => {
  for (const cidr of ['10.0.0.0', '10/8', '10.0.0.0/33', '::/129', 'fd00::/', 'all', '', '0x0a.0.0.0/8']) {
    assert.throws(() => createAddressGuard({ allowedCidrs: [cidr] }), {
      name: 'RangeError',
      message: `expected a CIDR like 10.0.0.0/8 or fd00::/8, got ${JSON.stringify(cidr)}`,
    });
  }
});

test('an IPv6 address is never allowed for the IPv4 address in its last 32 bits when that is private', () => {
  const guard = createAddressGuard({ allowedCidrs: [] });
  const prefix = fc.constantFrom(
    '::',
    '::ffff:',
    '::ffff:0:',
    '64:ff9b::',
    '64:ff9b:1::',
    '2002:a00:1::5efe:',
  );
  fc.assert(
    fc.property(prefix, fc.nat(255), fc.nat(255), fc.nat(255), (head, a, b, c) => {
      const ip = `${head}10.${a}.${b}.${c}`;
      assert.notEqual(isIP(ip), 0);
      assert.equal(guard.allows(ip), false, ip);
    }),
  );
});

test('the literal address in a URL is found, also where the URL spells it oddly', () => {
  const hosts: Record<string, string | undefined> = {
    'https://127.0.0.1/': '127.0.0.1',
    'https://127.1/': '127.0.0.1',
    'https://2130706433/': '127.0.0.1',
    'https://0x7f.1/': '127.0.0.1',
    'https://0177.0.0.1./': '127.0.0.1',
    'https://[::1]:8443/': '::1',
    'https://[::ffff:127.0.0.1]/': '::ffff:7f00:1',
    'https://localhost/': '127.0.0.1',
    'https://LOCALHOST./': '127.0.0.1',
    'https://a.b.localhost/': '127.0.0.1',
    'https://example.com/': undefined,
    'https://notlocalhost/': undefined,
  };
  for (const [url, expected] of Object.entries(hosts)) {
    assert.equal(literalAddress(new URL(url).hostname), expected, url);
  }
});
