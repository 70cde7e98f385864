import assert from 'node:assert/strict';
import { test } from 'node:test';
import { characterErrorRate, wordF1 } from '@glyphmill/core/text-accuracy';
import fc from 'fast-check';

const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', '茶', '𝄞'), maxLength: 40 });
const length = (value: string): number => [...value.trim().replace(/\s+/gu, ' ')].length;
const distance = (a: string, b: string): number => characterErrorRate(a, b) * length(a);
const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-9;

test('the character error rate counts insertions, deletions and substitutions over the truth', () => {
  assert.equal(characterErrorRate('kitten', 'sitting'), 3 / 6);
  assert.equal(characterErrorRate('abcd', ''), 1);
  assert.equal(characterErrorRate('ab', 'abcdef'), 2);
  assert.equal(characterErrorRate('', ''), 0);
  assert.equal(characterErrorRate('', 'x'), 1);
});

test('a missing space is an error, the kind of whitespace is not', () => {
  assert.equal(characterErrorRate('Total due\n$4', '  Total   due $4 '), 0);
  assert.equal(characterErrorRate('Total due', 'Totaldue'), 1 / 9);
});

test('full-width and half-width characters are different characters', () => {
  assert.equal(characterErrorRate('电话：5', '电话:5'), 1 / 4);
});

test('characters beyond 16 bits count once', () => {
  assert.equal(characterErrorRate('𝄞𝄞', '𝄞'), 1 / 2);
});

test('words are compared as a multiset', () => {
  assert.equal(wordF1('one two two', 'two one two'), 1);
  assert.equal(wordF1('one two two', 'two'), 2 / 4);
  assert.equal(wordF1('one', 'One'), 0);
  assert.equal(wordF1('', ' '), 1);
  assert.equal(wordF1('one', ''), 0);
});

test('a text read as itself has no errors', () => {
  fc.assert(fc.property(text, (a) => characterErrorRate(a, a) === 0 && wordF1(a, a) === 1));
});

test('the distance is symmetric, bounded by the lengths, and keeps the triangle inequality', () => {
  const filled = text.filter((value) => length(value) > 0);
  fc.assert(
    fc.property(filled, filled, filled, (a, b, c) => {
      assert.ok(near(distance(a, b), distance(b, a)));
      assert.ok(distance(a, b) >= Math.abs(length(a) - length(b)) - 1e-9);
      assert.ok(distance(a, b) <= Math.max(length(a), length(b)) + 1e-9);
      assert.ok(distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9);
    }),
  );
});

test('the distance is that of the recursive definition', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 6 });
  fc.assert(fc.property(short, short, (a, b) => near(distance(a, b), defined(a, b))));
});

test('word agreement is symmetric and lies between 0 and 1', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(wordF1(a, b), wordF1(b, a));
      assert.ok(wordF1(a, b) >= 0 && wordF1(a, b) <= 1);
    }),
  );
});

test('two pages of 5,000 characters are compared in less than two seconds', () => {
  const started = performance.now();
  assert.ok(characterErrorRate('abcde'.repeat(1000), 'acbed'.repeat(1000)) > 0);
  assert.ok(performance.now() - started < 2000);
});

function defined(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const rest = defined(a.slice(1), b.slice(1));
  if (a[0] === b[0]) return rest;
  return 1 + Math.min(rest, defined(a.slice(1), b), defined(a, b.slice(1)));
}
