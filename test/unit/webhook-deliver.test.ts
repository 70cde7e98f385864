import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { createAddressGuard } from '@glyphmill/service/address-guard';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import fc from 'fast-check';
import { createResolver, vetHost } from 'glyphmill-webhook/address';
import { createPlaceLimit } from 'glyphmill-webhook/place-limit';
import { signatureHeaders } from 'glyphmill-webhook/sign';
import { Webhook } from 'standardwebhooks';
import { rebindingNames, refusedLiterals, refusedUserinfo } from './refused-hosts.ts';

const signal = new AbortController().signal;
const guard = createAddressGuard({ allowedCidrs: [] });
const noResolver = () => assert.fail('a literal was looked up');
const vet = (hostname: string, found: string[]) =>
  vetHost(hostname, { guard, resolve: async () => found, signal });

test('the signature of any body verifies with the tenant’s secret and with no other', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const body = JSON.stringify({ text });
      const secret = tenantWebhookSecret('r'.repeat(32), 'acme');
      const headers = signatureHeaders({ id: 'evt_1', body, secrets: [secret], nowMs: Date.now() });
      assert.deepEqual(new Webhook(secret).verify(body, headers), { text });
      const other = new Webhook(tenantWebhookSecret('r'.repeat(32), 'other'));
      assert.throws(() => other.verify(body, headers));
    }),
  );
});

test('every spelling of a private address in a URL is refused without a look-up', async () => {
  for (const host of [...refusedLiterals, ...refusedUserinfo]) {
    const { hostname } = new URL(`https://${host}/`);
    assert.equal(
      (await vetHost(hostname, { guard, resolve: noResolver, signal })).kind,
      'literal-refused',
      host,
    );
  }
});

test('a name whose servers answer with such an address is refused at every attempt', async () => {
  const asked: string[] = [];
  const resolve = async (name: string) => {
    asked.push(name);
    return rebindingNames[name] ?? assert.fail(`${name} was not to be asked for`);
  };
  for (const name of Object.keys(rebindingNames)) {
    const { hostname } = new URL(`https://${name}/`);
    assert.equal((await vetHost(hostname, { guard, resolve, signal })).kind, 'name-refused', name);
  }
  assert.deepEqual(asked, Object.keys(rebindingNames));
});

test('a name that answered well once is asked again and refused when it answers otherwise', async () => {
  const answers = [['93.184.216.34'], ['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['93.184.216.34']];
  const resolve = async () => answers.shift() ?? [];
  const kinds: string[] = [];
  for (let turn = 0; turn < 5; turn += 1) {
    kinds.push((await vetHost('rebinding.example', { guard, resolve, signal })).kind);
  }
  assert.deepEqual(kinds, ['allowed', 'name-refused', 'name-refused', 'allowed', 'name-unknown']);
});

test('a public literal is its own address', async () => {
  const { hostname } = new URL('https://[2606:4700:4700::1111]/');
  assert.deepEqual(await vetHost(hostname, { guard, resolve: noResolver, signal }), {
    kind: 'allowed',
    addresses: [{ address: '2606:4700:4700::1111', family: 6 }],
  });
});

test('one address that is not allowed spoils a name', async () => {
  assert.equal((await vet('hooks.example', ['1.1.1.1', '10.0.0.1'])).kind, 'name-refused');
  assert.equal((await vet('hooks.example', ['1.1.1.1', '::ffff:10.0.0.1'])).kind, 'name-refused');
  assert.deepEqual(await vet('hooks.example', ['1.1.1.1', '2606:4700:4700::1111']), {
    kind: 'allowed',
    addresses: [
      { address: '1.1.1.1', family: 4 },
      { address: '2606:4700:4700::1111', family: 6 },
    ],
  });
  assert.equal((await vet('hooks.example', [])).kind, 'name-unknown');
});

test('a name server that says nothing holds up no other name, and asking it ends with the signal', async () => {
  const { server, port } = await startNameServer();
  try {
    const resolve = createResolver([`127.0.0.1:${port}`]);
    const controller = new AbortController();
    const silent = Array.from({ length: 16 }, () => resolve('silent.example', controller.signal));
    assert.deepEqual(await resolve('hooks.example', signal), ['127.0.0.9']);
    const begunMs = performance.now();
    controller.abort();
    const answers = await Promise.allSettled(silent);
    assert.ok(
      answers.every(({ status }) => status === 'rejected'),
      'a look-up went on',
    );
    assert.ok(performance.now() - begunMs < 1000, 'it took too long');
  } finally {
    server.close();
  }
});

/** Knows one A record, hooks.example, and keeps silent about silent.example. */
async function startNameServer() {
  const server = createSocket('udp4', (question, peer) => {
    if (question.includes('silent')) return;
    const isA = question.readUInt16BE(question.indexOf('example') + 8) === 1;
    const answer = Buffer.from(question.subarray(0, question.indexOf('example') + 12));
    answer.writeUInt16BE(0x8180, 2);
    answer.writeUInt16BE(isA ? 1 : 0, 6);
    answer.writeUInt32BE(0, 8);
    // A pointer to the name in the question, type A, class IN, 60 s, four bytes.
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 9]);
    server.send(isA ? Buffer.concat([answer, record]) : answer, peer.port, peer.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: server.address().port };
}

test('a name has only so many places, and those turned away come back one after the other', () => {
  let now = 1000;
  const limit = createPlaceLimit({ nowMs: () => now });
  const enter = (name: string) => limit.enter([{ name, places: 2 }]);
  const places = ['slow', 'slow'].map(enter);
  const waits = [1, 2, 3].map(() => enter('slow'));
  assert.deepEqual(waits, [{ waitMs: 500 }, { waitMs: 503 }, { waitMs: 506 }]);
  assert.ok('release' in enter('other'), 'another name is not held up');
  for (let turn = 0; turn < 100_000; turn += 1) enter('slow');
  assert.deepEqual(enter('slow'), { waitMs: 60_000 }, 'the line has an end');
  now += 60_000;
  const [first] = places;
  assert.ok(first !== undefined && 'release' in first, 'it is there');
  first.release();
  assert.ok('release' in enter('slow'), 'the place is free again');
});

test('who finds one of its places taken takes none of the others', () => {
  const limit = createPlaceLimit({ nowMs: () => 0 });
  const [endpoint, host] = [
    { name: 'endpoint', places: 1 },
    { name: 'host', places: 2 },
  ] as const;
  const first = limit.enter([endpoint, host]);
  assert.ok('release' in first, 'it is there');
  for (let turn = 0; turn < 10; turn += 1) assert.ok('waitMs' in limit.enter([host, endpoint]), 'no place');
  assert.ok('release' in limit.enter([host]), 'the second place of the host was not used up');
  assert.ok('waitMs' in limit.enter([host]), 'there are two');
  first.release();
  assert.ok('release' in limit.enter([endpoint, host]), 'both are free again');
});
