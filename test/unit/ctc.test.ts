import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argmaxSteps, decodeCtc, decodeSteps, loadDictionary, ModelOutputError } from '@glyphmill/core/ctc';
import fc from 'fast-check';

const dictionary = ['', 'a', 'b', 'c', ' '];

function read(indices: readonly number[], scores: readonly number[] = indices.map(() => 1)) {
  return decodeCtc({ indices, scores, offset: 0, steps: indices.length }, dictionary);
}

function text(indices: readonly number[]): string {
  return read(indices)
    .map((character) => character.text)
    .join('');
}

test('repeats collapse, blanks part repeats and vanish', () => {
  assert.equal(text([0, 1, 1, 0, 2]), 'ab');
  assert.equal(text([1, 0, 1]), 'aa');
  assert.equal(text([1, 1, 2, 2, 1]), 'aba');
  assert.equal(text([0, 0, 0]), '');
  assert.equal(text([]), '');
  assert.equal(text([1, 4, 2]), 'a b');
});

test('a character stands in the middle of its steps with the best of their scores', () => {
  assert.deepEqual(read([0, 1, 1, 1, 0, 2], [0.9, 0.5, 0.75, 0.6, 0.9, 0.25]), [
    { text: 'a', confidence: 0.75, step: 2 },
    { text: 'b', confidence: 0.25, step: 5 },
  ]);
});

test('a line is read from its offset only, repeats do not reach across lines', () => {
  const indices = [1, 1, 1, 2];
  const scores = [1, 1, 0.5, 1];
  const second = decodeCtc({ indices, scores, offset: 2, steps: 2 }, dictionary);
  assert.deepEqual(
    second.map((c) => [c.text, c.confidence, c.step]),
    [
      ['a', 0.5, 0],
      ['b', 1, 1],
    ],
  );
});

test('step by step each best class but the blank is a character, repeats too', () => {
  const line = { indices: [9, 0, 1, 1, 2], scores: [0, 0.9, 0.5, 0.75, 1], offset: 1, steps: 4 };
  assert.deepEqual(decodeSteps(line, dictionary), [
    { text: 'a', confidence: 0.5, step: 1 },
    { text: 'a', confidence: 0.75, step: 2 },
    { text: 'b', confidence: 1, step: 3 },
  ]);
  assert.throws(() => decodeSteps({ ...line, offset: 0 }, dictionary), ModelOutputError);
});

test('any text comes back from its steps, with blanks and repeats in between', () => {
  const letters = fc.array(
    fc.record({ index: fc.integer({ min: 1, max: 4 }), times: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(
    fc.property(letters, (list) => {
      const steps = list.flatMap(({ index, times }) => [...new Array<number>(times).fill(index), 0]);
      assert.equal(text(steps), list.map(({ index }) => dictionary[index]).join(''));
    }),
  );
});

test('numbers that mean nothing are refused', () => {
  assert.throws(() => read([1, 9]), ModelOutputError);
  assert.throws(() => read([1, -1]), ModelOutputError);
  assert.throws(() => read([1, 2], [1, Number.NaN]), ModelOutputError);
  assert.throws(() => read([0, 0], [Number.NaN, 1]), ModelOutputError);
  assert.throws(() => argmaxSteps(Float32Array.of(0.1, Number.NaN), 1, 1, 2), /NaN in line 0 at step 0/);
  assert.throws(() => argmaxSteps(new Float32Array(5), 1, 2, 3), /expected 1×2×3 scores, got 5/);
});

test('the best class of each step is found, the first of equals', () => {
  const { indices, scores } = argmaxSteps(Float32Array.of(0.2, 0.5, 0.3, 0.4, 0.2, 0.4), 1, 2, 3);
  assert.deepEqual([...indices], [1, 0]);
  assert.deepEqual([...scores], [Math.fround(0.5), Math.fround(0.4)]);
});

test('a dictionary is blank, its lines, space; other lengths are refused', () => {
  assert.deepEqual(loadDictionary('a\r\nb\n', 4), ['', 'a', 'b', ' ']);
  assert.deepEqual(loadDictionary('a\n\u3000', 4), ['', 'a', '\u3000', ' ']);
  assert.throws(() => loadDictionary('a\nb\n', 5), /expected a dictionary of 3 lines for 5 classes.*got 2/);
});
