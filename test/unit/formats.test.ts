import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sniff } from '@glyphmill/engine/formats';
import fc from 'fast-check';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const iso = (brand: string) => bytes(`\0\0\0\x18ftyp${brand}\0\0\0\0mif1`);

for (const [format, head] of [
  ['jpeg', bytes('\xff\xd8\xff\xe0')],
  ['png', bytes('\x89PNG\r\n\x1a\n')],
  ['gif', bytes('GIF89a')],
  ['webp', bytes('RIFF\0\0\0\0WEBPVP8 ')],
  ['tiff', bytes('II*\0')],
  ['tiff', bytes('MM\0*')],
  ['tiff', bytes('II+\0')],
  ['avif', iso('avif')],
] as const) {
  test(`${JSON.stringify(head.toString('latin1'))} is ${format}`, () => {
    assert.deepEqual(sniff(head), { format });
  });
}

for (const [said, head] of [
  [/a PDF/, bytes('%PDF-1.7')],
  [/a PDF/, bytes('junk before\n%PDF-1.4')],
  [/an HEIC image/, iso('heic')],
  [/a BMP image/, bytes('BM\0\0')],
  [/SVG/, bytes('<svg xmlns="http://www.w3.org/2000/svg">')],
  [/plain text/, bytes('this is no picture\n')],
  [/no format known/, bytes('\x01\x02\x03')],
] as const) {
  test(`a refusal says ${said.source} and what to send`, () => {
    const sniffed = sniff(head);
    assert.ok('refused' in sniffed);
    assert.match(sniffed.refused, said);
    assert.match(sniffed.refused, /send JPEG, PNG, WebP, GIF, AVIF or TIFF/);
  });
}

test('any bytes at all are told apart without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (head) => {
      const sniffed = sniff(head);
      assert.ok('format' in sniffed || sniffed.refused.length > 0);
    }),
  );
});
