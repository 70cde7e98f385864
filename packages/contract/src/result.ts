import { z } from 'zod';
import { failureSchema } from './failure.ts';
import { usageSchema, warningSchema } from './job.ts';
import { optionsSchema } from './request.ts';

const confidenceSchema = z.number().min(0).max(1);

const lineSchema = z.object({
  id: z.string().describe('Unique within its page: l1, l2, … in reading order.'),
  text: z.string(),
  confidence: confidenceSchema.describe('Mean over the characters of the line.'),
  polygon: z
    .array(z.number())
    .length(8)
    .describe('x1,y1 … x4,y4 in page pixels, clockwise from the text’s own top left corner.'),
  bbox: z.array(z.number()).length(4).describe('x0,y0,x1,y1: the upright rectangle around the polygon.'),
  characters: z.array(z.object({ text: z.string(), confidence: confidenceSchema })).optional(),
  microBatch: z.string().optional().describe('The one it was read in, where options.microBatches asks.'),
});
export type Line = z.infer<typeof lineSchema>;

const succeededPageSchema = z.object({
  number: z.int().positive(),
  status: z.literal('succeeded'),
  width: z.int(),
  height: z.int(),
  unit: z.literal('px'),
  rotation: z
    .int()
    .describe(
      'Degrees by which the stored pixels were turned clockwise (EXIF) before coordinates were taken.',
    ),
  text: z.string(),
  lines: z.array(lineSchema),
  error: z.null(),
  timings: z.object({ decodeMs: z.number(), detectMs: z.number(), recognizeMs: z.number() }),
});
export type SucceededPage = z.infer<typeof succeededPageSchema>;

/** A page that cannot be read, among others that can; it has the same fields, so that its place is not lost. */
const failedPageSchema = z.object({
  number: z.int().positive(),
  status: z.literal('failed'),
  width: z.null(),
  height: z.null(),
  unit: z.literal('px'),
  rotation: z.null(),
  text: z.literal(''),
  lines: z.array(lineSchema).length(0),
  error: failureSchema,
  timings: z.null(),
});

export const pageSchema = z
  .discriminatedUnion('status', [succeededPageSchema, failedPageSchema])
  .meta({ id: 'Page' });
export type Page = z.infer<typeof pageSchema>;

export const pageListSchema = z
  .object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        number: z.int().positive(),
        status: z
          .enum(['unread', 'succeeded', 'failed'])
          .describe('unread: not yet, or not before the job ended.'),
        href: z.string(),
      }),
    ),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'PageList' });
export type PageList = z.infer<typeof pageListSchema>;

export const servedModelSchema = z.object({
  role: z.enum(['detect', 'recognize']),
  name: z.string(),
  version: z.string(),
  sha256: z.string(),
  provider: z.enum(['cpu', 'cuda']),
});
export type ServedModel = z.infer<typeof servedModelSchema>;

/** Micro-batches that one result names, at most: a document of thousands of pages rides in more. */
export const maxMicroBatches = 1000;

/** What makes a micro-batch go. */
export const triggerSchema = z.enum(['size', 'preferred', 'delay', 'idle', 'drain']);

const microBatchSchema = z.object({
  id: z.string().describe('Unique within the attempt.'),
  role: z.enum(['detect', 'recognize']),
  size: z.int().describe('Pages or lines in it, of all documents.'),
  own: z.int().describe('Those of this document.'),
  fill: z.number().describe('Its size ÷ max_batch_size.'),
  trigger: triggerSchema.describe('What made it go.'),
  queueDelayMs: z.number().describe('The longest that one of this document’s waited for it.'),
  runMs: z.number(),
});
export type MicroBatch = z.infer<typeof microBatchSchema>;

/** What was read; every other format is rendered from it. */
export const resultSchema = z
  .object({
    object: z.literal('ocr.result'),
    schemaVersion: z.literal('1.0'),
    jobId: z.string().nullable().describe('null when read without a job, by `glyphmill ocr`.'),
    text: z.string().describe('The pages’ texts, a form feed between two pages; nothing for a failed one.'),
    confidence: confidenceSchema.nullable().describe('Mean over all characters; null when there is none.'),
    engine: z.object({
      service: z.string(),
      runtime: z.string(),
      models: z.array(servedModelSchema),
      options: optionsSchema,
    }),
    pages: z.array(pageSchema),
    usage: usageSchema,
    warnings: z.array(warningSchema),
    microBatches: z
      .array(microBatchSchema)
      .optional()
      .describe(
        `In the order in which they ended, the first ${maxMicroBatches}; only where options.microBatches asks.`,
      ),
  })
  .meta({ id: 'Result' });
export type Result = z.infer<typeof resultSchema>;
