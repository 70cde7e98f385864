import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { BatchEvent, batchListSchema, batchResultSchema, batchSchema } from '@glyphmill/contract/batch';
import type { createBatchSchema } from '@glyphmill/contract/batch-request';
import type { EndpointDisabledEvent, JobEvent, PingEvent } from '@glyphmill/contract/event';
import type { Job } from '@glyphmill/contract/job';
import type { limitsSchema } from '@glyphmill/contract/limits';
import type { Model } from '@glyphmill/contract/model';
import { type ProblemBody, problems } from '@glyphmill/contract/problem';
import type { createJobSchema } from '@glyphmill/contract/request';
import type { Page, PageList, Result } from '@glyphmill/contract/result';
import type { uploadSchema } from '@glyphmill/contract/upload';
import type * as sdk from 'glyphmill';
import { ProblemError, problemClasses } from 'glyphmill';
import type { z } from 'zod';
import { renderClientTypes } from '../fixtures/client-types.ts';

type Fits<A, B> = [A] extends [B] ? true : false;
/** Whether either type fits where the other is wanted. */
type Same<A, B> = Fits<A, B> extends true ? Fits<B, A> : false;
type True<T extends true[]> = T;

// An error of the compiler unless all of them are true.
export type Held = True<
  [
    Same<sdk.Job, Job>,
    Same<sdk.Result, Result>,
    Same<sdk.Page, Page>,
    Same<sdk.PageList, PageList>,
    Same<sdk.Batch, z.infer<typeof batchSchema>>,
    Same<sdk.BatchList, z.infer<typeof batchListSchema>>,
    Same<sdk.BatchResult, z.infer<typeof batchResultSchema>>,
    Same<sdk.Model, Model>,
    Same<sdk.Limits, z.infer<typeof limitsSchema>>,
    Same<sdk.Upload, z.infer<typeof uploadSchema>>,
    Same<sdk.Problem, ProblemBody>,
    Same<sdk.JobEvent, JobEvent>,
    Same<sdk.BatchEvent, BatchEvent>,
    Same<sdk.EndpointDisabledEvent, EndpointDisabledEvent>,
    Same<sdk.PingEvent, PingEvent>,
    Same<sdk.CreateJob, z.input<typeof createJobSchema>>,
    // The contract's type of an item's options is wider than what it takes.
    Fits<sdk.CreateBatch, z.input<typeof createBatchSchema>>,
    Same<Omit<sdk.CreateBatch, 'items'>, Omit<z.input<typeof createBatchSchema>, 'items'>>,
  ]
>;

test('the types of both SDKs are what the contract says', () => {
  const advice = 'run node --import tsx test/fixtures/client-types.ts';
  for (const { path, text } of renderClientTypes()) assert.equal(readFileSync(path, 'utf8'), text, advice);
});

test('every code of a problem has an error class of its own, called after it', () => {
  assert.deepEqual(Object.keys(problemClasses), Object.keys(problems));
  for (const [code, Class] of Object.entries(problemClasses)) {
    const words = code.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
    const problem = {
      type: '',
      title: '',
      status: 400,
      code,
      detail: 'why',
      instance: '',
      requestId: '',
      retryable: false,
    };
    const error = new Class(problem, { retryAfterMs: undefined });
    assert.equal(error.name, `${words.join('')}Error`);
    assert.equal(error.constructor.name, error.name);
    assert.ok(error instanceof ProblemError);
  }
});
