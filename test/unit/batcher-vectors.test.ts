import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { simulate } from '@glyphmill/core/simulate';
import { parseTraces } from '@glyphmill/core/simulate-trace';

const file: unknown = JSON.parse(
  readFileSync(new URL('../fixtures/batcher-vectors.json', import.meta.url), 'utf8'),
);
const traces = parseTraces(file);

test('the file holds all 38 traces checked against Triton', () => {
  assert.equal(traces.length, 38);
});

for (const [index, trace] of traces.entries()) {
  test(`forms the batches Triton forms: ${trace.name}`, () => {
    const { batches, dropped } = simulate(trace);
    assert.deepEqual({ batches, dropped }, expected(index));
  });
}

function expected(index: number): unknown {
  assert(typeof file === 'object' && file !== null && 'vectors' in file && Array.isArray(file.vectors));
  const vector: unknown = file.vectors[index];
  assert(typeof vector === 'object' && vector !== null && 'expect' in vector);
  return vector.expect;
}
