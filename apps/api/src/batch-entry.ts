import type { Rejection } from '@glyphmill/contract/batch';
import type { BatchPlan } from '@glyphmill/contract/batch-plan';
import { type BatchItem, batchItemSchema, manifestLineSchema } from '@glyphmill/contract/batch-request';
import { metadataSchema, optionsSchema } from '@glyphmill/contract/request';
import { z } from 'zod';
import { mayRead, notAllowed } from './source-access.ts';
import { invalid } from './validation.ts';

/** What an item is checked against. */
export interface ItemContext {
  plan: BatchPlan;
  systemBucket: string;
}

export type Checked<T> = { kind: 'fit'; item: T } | { kind: 'rejected'; rejection: Rejection };

const maxDetailLength = 300;

/** An item of `items`. */
export const checkItem = createCheck(batchItemSchema);
/** A line of a manifest, parsed as JSON. */
export const checkLine = createCheck(manifestLineSchema);

/** Looks at one item, whose options and metadata are completed by those of its batch. */
function createCheck<S extends BatchItem['source']>(
  schema: z.ZodType<Omit<BatchItem, 'source'> & { source: S }>,
) {
  const overSchema = z.object({ options: optionsSchema, metadata: metadataSchema });
  return (value: unknown, index: number, { plan, systemBucket }: ItemContext) => {
    const parsed = schema.safeParse(value);
    if (!parsed.success) return reject(index, invalidItem(parsed.error));
    const { source, options, metadata } = parsed.data;
    const { places } = plan.task;
    if (source.type === 's3' && !mayRead({ systemBucket, places }, source)) {
      return reject(index, { code: 'source-not-allowed', detail: notAllowed(source) });
    }
    // Together they may be too much.
    const completed = overSchema.safeParse({
      options: { ...plan.task.options, ...options },
      metadata: { ...plan.task.metadata, ...metadata },
    });
    if (!completed.success) return reject(index, invalidItem(completed.error));
    return { kind: 'fit', item: { source, ...completed.data } } as const;
  };
}

export function reject(index: number, { code, detail }: Omit<Rejection, 'index'>) {
  return {
    kind: 'rejected',
    rejection: { index, code, detail: detail.slice(0, maxDetailLength) },
  } as const;
}

function invalidItem(error: z.ZodError): Omit<Rejection, 'index'> {
  const { code, options } = invalid(error, 'body');
  return {
    code: code === 'unknown-field' ? code : 'validation-failed',
    detail: options.detail.replace(/^The body:/, 'The item:'),
  };
}
