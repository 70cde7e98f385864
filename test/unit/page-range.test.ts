import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageRangeError, selectPages } from '@glyphmill/contract/page-range';
import fc from 'fast-check';

test('without a range all pages are selected', () => {
  assert.deepEqual(selectPages(undefined, 3), [1, 2, 3]);
});

test('pages come ascending and once, however they were asked for', () => {
  assert.deepEqual(selectPages('7,1-3,2', 9), [1, 2, 3, 7]);
});

for (const range of ['4', '2-4', '0', '0-1', '3-2', '1,9']) {
  test(`"${range}" is refused for a document of 3 pages`, () => {
    assert.throws(() => selectPages(range, 3), PageRangeError);
  });
}

test('any range within the document selects just the pages it names', () => {
  const pages = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 10 }));
  fc.assert(
    fc.property(fc.array(pages, { minLength: 1, maxLength: 8 }), (parts) => {
      const expected = new Set(
        parts.flatMap(([first, more]) => Array.from({ length: more + 1 }, (_, i) => first + i)),
      );
      const range = parts.map(([first, more]) => `${first}-${first + more}`).join(',');
      assert.deepEqual(
        selectPages(range, 60),
        [...expected].sort((a, b) => a - b),
      );
    }),
  );
});
