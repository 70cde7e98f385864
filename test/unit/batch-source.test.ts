import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobIdSchema, newId } from '@glyphmill/contract/id';
import { batchJobId, batchJobIds } from '@glyphmill/queue/batch-job-id';
import fc from 'fast-check';
import { globMatcher } from 'glyphmill-api/glob';
import { readLines } from 'glyphmill-api/lines';

/** The 128 bits after the prefix, as a UUID is written. */
function uuidOf(id: string): string {
  const digits = '0123456789abcdefghjkmnpqrstvwxyz';
  const bits = [...(id.split('_')[1] ?? '')].map((digit) => BigInt(digits.indexOf(digit)));
  const number = bits.reduce((value, digit) => value * 32n + digit, 0n);
  return number
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

test('the id of a batch’s job is always the same, no other’s, and a UUIDv7 of the batch’s time', () => {
  const batches = [newId('bat'), newId('bat')];
  const ids = batches.flatMap((batch) => batchJobIds(batch, { from: 0, to: 5000 }));
  assert.equal(new Set(ids).size, 10_000);
  for (const [index, id] of ids.slice(0, 200).entries()) {
    const [batch = ''] = batches;
    assert.equal(id, batchJobId(batch, index));
    assert.equal(jobIdSchema.parse(id), id);
    const uuid = uuidOf(id);
    assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(uuid.slice(0, 13), uuidOf(batch).slice(0, 13), 'another time');
  }
});

async function linesOf(chunks: readonly Buffer[], options: { maxLineBytes: number; groupSize: number }) {
  async function* body() {
    yield* chunks;
  }
  const lines = [];
  for await (const group of readLines(body(), { offset: 1000, ...options })) {
    assert.ok(group.length <= options.groupSize, `a group of ${group.length}`);
    lines.push(...group);
  }
  return lines;
}

test('lines are the same however the bytes come, and each tells where the next one begins', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '\n', '\n', '\r'), maxLength: 20 }), {
        maxLength: 12,
      }),
      fc.integer({ min: 1, max: 6 }),
      async (texts, groupSize) => {
        const chunks = texts.map((text) => Buffer.from(text));
        const whole = Buffer.concat(chunks);
        const lines = await linesOf(chunks, { maxLineBytes: 8, groupSize });
        const expected = whole.toString('latin1').split('\n');
        if (expected.at(-1) === '') expected.pop();
        assert.deepEqual(
          lines.map(({ bytes }) => bytes?.toString('latin1') ?? null),
          expected.map((line) => (line.length > 8 ? null : line)),
        );
        // Read on from the middle, the rest is the same.
        const [first] = lines;
        if (first === undefined) return;
        const rest = await linesOf([whole.subarray(first.end - 1000)], { maxLineBytes: 8, groupSize });
        assert.deepEqual(
          rest.map(({ bytes }) => bytes?.toString('latin1')),
          lines.slice(1).map(({ bytes }) => bytes?.toString('latin1')),
        );
      },
    ),
  ));

test('a line without an end costs no memory beyond what a line may have', async () => {
  const chunk = Buffer.alloc(1_000_000, 'x');
  const before = process.memoryUsage().rss;
  const lines = await linesOf(Array(300).fill(chunk), { maxLineBytes: 16_384, groupSize: 10 });
  assert.deepEqual(lines, [{ bytes: null, end: 300_001_000 }]);
  assert.ok(process.memoryUsage().rss - before < 100_000_000, 'it was kept');
});

test('a glob matches what it says', () => {
  const cases: [glob: string, matching: string[], others: string[]][] = [
    ['*.png', ['a.png', '.png', 'a.b.png'], ['a/b.png', 'a.pngx', 'a.PNG', '']],
    ['**.png', ['a.png', 'a/b/c.png'], ['a.tiff']],
    ['**/*.png', ['a/b.png', 'a/b/c.png', '/a.png'], ['b.png']],
    ['a?c', ['abc', 'aéc', 'a😀c'], ['ac', 'abbc', 'a/c']],
    ['*', ['a', ''], ['a/']],
    ['**', ['', 'a', 'a/b\nc'], []],
    ['a*b*c', ['abc', 'a1b2c', 'abbc'], ['ab', 'a/bc']],
    ['[a].(b)+$', ['[a].(b)+$'], ['a.b']],
    ['2026/*/page-?.tiff', ['2026/x/page-1.tiff'], ['2026/x/y/page-1.tiff', '2026/page-1.tiff']],
  ];
  for (const [glob, matching, others] of cases) {
    const matches = globMatcher(glob);
    for (const text of matching) assert.ok(matches(text), `${glob} does not match ${text}`);
    for (const text of others) assert.ok(!matches(text), `${glob} matches ${text}`);
  }
});

test('the worst of globs takes no longer than its length and the key’s allow', () => {
  const begunMs = performance.now();
  for (const glob of ['*a'.repeat(50), '**a'.repeat(33), '**/*a'.repeat(20)]) {
    const matches = globMatcher(glob);
    for (let count = 0; count < 20; count += 1) assert.ok(!matches(`${'a/'.repeat(500)}b`));
  }
  const tookMs = performance.now() - begunMs;
  assert.ok(tookMs < 5000, `${tookMs} ms`);
});
