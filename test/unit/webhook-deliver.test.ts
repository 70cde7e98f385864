import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { createAddressGuard } from '@glyphmill/service/address-guard';
import { tenantWebhookSecret } from '@glyphmill/service/webhook-secret';
import fc from 'fast-check';
import { createResolver, vetHost } from 'glyphmill-webhook/address';
import { createHostLimit } from 'glyphmill-webhook/host-limit';
import { signatureHeaders } from 'glyphmill-webhook/sign';
import { Webhook } from 'standardwebhooks';

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
      const headers = signatureHeaders({ id: 'evt_1', body, secret, nowMs: Date.now() });
      assert.deepEqual(new Webhook(secret).verify(body, headers), { text });
      const other = new Webhook(tenantWebhookSecret('r'.repeat(32), 'other'));
      assert.throws(() => other.verify(body, headers));
    }),
  );
});

test('every spelling of a private address in a URL is refused without a look-up', async () => {
  for (const host of [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.0.0.1.',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '169.254.169.254',
    'localhost',
    'LOCALHOST.',
    'api.localhost',
    '①②⑦.0.0.1',
  ]) {
    const { hostname } = new URL(`https://${host}/`);
    assert.equal(
      (await vetHost(hostname, { guard, resolve: noResolver, signal })).kind,
      'literal-refused',
      host,
    );
  }
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
  await assert.rejects(vet('hooks.example', []), /no address/);
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

test('a host has only so many places, and those turned away come back one after the other', () => {
  let now = 1000;
  const limit = createHostLimit({ perHost: 2, nowMs: () => now });
  const places = ['slow.example', 'slow.example'].map((host) => limit.enter(host));
  const waits = [1, 2, 3].map(() => limit.enter('slow.example'));
  assert.deepEqual(waits, [{ waitMs: 500 }, { waitMs: 503 }, { waitMs: 506 }]);
  assert.ok('release' in limit.enter('other.example'), 'another host is not held up');
  for (let turn = 0; turn < 100_000; turn += 1) limit.enter('slow.example');
  assert.deepEqual(limit.enter('slow.example'), { waitMs: 60_000 }, 'the line has an end');
  now += 60_000;
  const [first] = places;
  assert.ok(first !== undefined && 'release' in first, 'it is there');
  first.release();
  assert.ok('release' in limit.enter('slow.example'), 'the place is free again');
});
