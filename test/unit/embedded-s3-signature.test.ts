import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { authenticate } from '@glyphmill/embedded/s3-auth';
import { startChecksum } from '@glyphmill/embedded/s3-checksums';
import { decodeChunks } from '@glyphmill/embedded/s3-chunks';
import {
  EMPTY_SHA256,
  signChunk,
  signingKey,
  signRequest,
  signTrailer,
} from '@glyphmill/embedded/s3-signature';
import fc from 'fast-check';

// The worked examples of the Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const scope = { timestamp: '20130524T000000Z', region: 'us-east-1' };
const nowMs = Date.UTC(2013, 4, 24);
const key = signingKey(credentials.secretAccessKey, scope);
const host = 'examplebucket.s3.amazonaws.com';

test('the published example requests are signed as published', () => {
  const common = { host, 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-date': scope.timestamp };
  const get = { method: 'GET', path: '/', headers: common, payloadHash: EMPTY_SHA256 };
  assert.equal(
    signRequest(key, scope, {
      ...get,
      path: '/test.txt',
      query: [],
      headers: { ...common, range: 'bytes=0-9' },
    }),
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  );
  assert.equal(
    signRequest(key, scope, { ...get, query: [['lifecycle', '']] }),
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  );
  const list: [string, string][] = [
    ['prefix', 'J'],
    ['max-keys', '2'],
  ];
  assert.equal(
    signRequest(key, scope, { ...get, query: list }),
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  );
  const payloadHash = sha256(Buffer.from('Welcome to Amazon S3.'));
  assert.equal(
    signRequest(key, scope, {
      method: 'PUT',
      path: '/test$file.text',
      query: [],
      headers: {
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        host,
        'x-amz-content-sha256': payloadHash,
        'x-amz-date': scope.timestamp,
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      },
      payloadHash,
    }),
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  );
});

test('the published presigned URL is authentic for a day and not a second longer', () => {
  const request = {
    method: 'GET',
    path: '/test.txt',
    headers: { host },
    query: [
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', `${credentials.accessKeyId}/20130524/us-east-1/s3/aws4_request`],
      ['X-Amz-Date', scope.timestamp],
      ['X-Amz-Expires', '86400'],
      ['X-Amz-SignedHeaders', 'host'],
      ['X-Amz-Signature', 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'],
    ] satisfies [string, string][],
  };
  assert.deepEqual(authenticate(request, credentials, nowMs + 86_400_000), { kind: 'unsigned' });
  assert.throws(() => authenticate(request, credentials, nowMs + 86_400_001), /has expired/);
  const other = { ...request, path: '/other.txt' };
  assert.throws(() => authenticate(other, credentials, nowMs), { code: 'SignatureDoesNotMatch' });
});

const SEED = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
const CHUNKS = [Buffer.alloc(65_536, 'a'), Buffer.alloc(1024, 'a'), Buffer.alloc(0)];

test('the published example chunks are signed as published', () => {
  assert.deepEqual(chain(SEED), [
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ]);
});

test('the published example trailer is signed as published', () => {
  const signatures = chain('106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e');
  assert.equal(signatures[2], '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992');
  assert.equal(
    signTrailer(key, scope, signatures[2] ?? '', 'x-amz-checksum-crc32c:sOO8/Q==\n'),
    'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
  );
});

test('a signed body decodes to its payload wherever the wire splits it', async () => {
  const wire = signedWire();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(wire.length), { maxLength: 12 }), async (cuts) => {
      const { payload } = await decode(split(wire, cuts), true);
      assert.ok(payload.equals(Buffer.concat(CHUNKS)));
    }),
    { numRuns: 60 },
  );
});

test('a signed body with any one byte changed is refused', async () => {
  const wire = signedWire();
  await fc.assert(
    fc.asyncProperty(fc.nat(wire.length - 1), async (index) => {
      const changed = Buffer.from(wire);
      changed[index] = (changed[index] ?? 0) ^ 1;
      // Hexadecimal digits of a size may be upper case; nothing else may differ.
      await assert.rejects(decode([changed], true), /signature|chunk|line|body|trailer/i);
    }),
    { numRuns: 120 },
  );
});

test('unsigned chunks of any sizes and their trailer arrive, split at any byte', async () => {
  const chunk = fc.uint8Array({ minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 6 }), fc.array(fc.nat(500)), async (chunks, cuts) => {
      const framed = chunks.map((bytes) =>
        Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]),
      );
      const wire = Buffer.concat([...framed, Buffer.from('0\r\nX-Amz-Checksum-Crc32:abc=\r\n\r\n')]);
      const { payload, trailers } = await decode(split(wire, cuts), false);
      assert.ok(payload.equals(Buffer.concat(chunks)));
      assert.deepEqual([...trailers], [['x-amz-checksum-crc32', 'abc=']]);
    }),
  );
});

test('a body that ends early or goes on after its end is refused', async () => {
  const wire = Buffer.from('3\r\nabc\r\n0\r\na:b\r\n\r\n');
  for (let length = 0; length < wire.length; length++) {
    await assert.rejects(decode([wire.subarray(0, length)], false), { code: 'IncompleteBody' });
  }
  await assert.rejects(decode([wire, Buffer.from('x')], false), { code: 'IncompleteBody' });
});

test('each checksum has its published check value, in one piece or many', () => {
  // Check values over '123456789' from the CRC catalogue (CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME).
  const expected = { crc32: 'cbf43926', crc32c: 'e3069283', crc64nvme: 'ae8b14860a799888' } as const;
  for (const algorithm of ['crc32', 'crc32c', 'crc64nvme'] as const) {
    for (const pieces of [['123456789'], ['1234', '', '56789']]) {
      const state = startChecksum(algorithm);
      for (const piece of pieces) state.update(Buffer.from(piece));
      assert.equal(state.digest().toString('hex'), expected[algorithm]);
    }
  }
});

function chain(seed: string): string[] {
  const signatures: string[] = [];
  for (const chunk of CHUNKS) {
    signatures.push(signChunk(key, scope, signatures.at(-1) ?? seed, sha256(chunk)));
  }
  return signatures;
}

function signedWire(): Buffer {
  const signatures = chain(SEED);
  const framed = CHUNKS.map((chunk, index) => {
    const header = `${chunk.length.toString(16)};chunk-signature=${signatures[index]}\r\n`;
    return Buffer.concat([Buffer.from(header), chunk, Buffer.from('\r\n')]);
  });
  return Buffer.concat(framed);
}

async function decode(wire: Buffer[], signed: boolean) {
  let trailers = new Map<string, string>();
  async function* source() {
    yield* wire;
  }
  const options = {
    ...(signed ? { signing: { key, scope, signature: SEED } } : {}),
    trailers: !signed,
    onTrailers: (found: Map<string, string>) => {
      trailers = found;
    },
  };
  const pieces: Buffer[] = [];
  for await (const piece of decodeChunks(source(), options)) pieces.push(piece);
  return { payload: Buffer.concat(pieces), trailers };
}

function split(wire: Buffer, cuts: number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => Math.min(cut, wire.length)).sort((a, b) => a - b), wire.length];
  return places.slice(1).map((end, index) => wire.subarray(places[index], end));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
