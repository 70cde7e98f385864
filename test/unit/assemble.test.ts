import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionsSchema } from '@glyphmill/contract/request';
import { resultSchema } from '@glyphmill/contract/result';
import { assemblePage, assembleResult, failedPage } from '@glyphmill/core/assemble';

const options = optionsSchema.parse({});
const engine = { service: 's', runtime: 'r', models: [], options };
const failure = { code: 'corrupt-document', message: 'cut', retryable: false, phase: 'decode' } as const;

function readPage(number: number, text: string, confidence: number) {
  const quad = [0, 0, 100, 0, 100, 20, 0, 20] as const;
  const lines = [{ quad, reading: { text, confidence, characters: [] } }];
  const timings = { decodeMs: 1, detectMs: 1, recognizeMs: 1 };
  return assemblePage({ number, width: 1000, height: 500, rotation: 0, lines, timings }, options).page;
}

test('a failed page keeps its place, and counts neither in the usage nor in the confidence', () => {
  const pages = [readPage(1, 'ab', 0.5), failedPage(2, failure), readPage(3, 'cd', 1)];
  const result = resultSchema.parse(assembleResult({ jobId: null, engine, pages, warnings: [] }));
  assert.equal(result.text, 'ab\f\fcd');
  assert.equal(result.confidence, 0.75);
  assert.deepEqual(result.usage, { pages: 2, lines: 2, megapixels: 1 });
  assert.deepEqual(result.pages[1]?.error, { ...failure, page: 2 });
  assert.deepEqual(result.warnings, [{ code: 'page-failed', message: 'cut', page: 2 }]);
});

test('a document with very many failed pages has fifty warnings, the last of which says how many there were', () => {
  const pages = [readPage(1, 'a', 1)];
  const failed = Array.from({ length: 3000 }, (_, index) => failedPage(index + 2, failure));
  const { warnings } = assembleResult({ jobId: null, engine, pages: [...pages, ...failed], warnings: [] });
  assert.equal(warnings.length, 50);
  assert.equal(warnings[48]?.page, 50);
  assert.match(warnings[49]?.message ?? '', /^2951 more warnings/);
});
