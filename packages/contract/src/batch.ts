import { z } from 'zod';
import { failureCodeSchema, failureSchema } from './failure.ts';
import { batchIdSchema, jobIdSchema } from './id.ts';
import { statusSchema } from './job.ts';
import { bulkPrioritySchema, modeSchema } from './request.ts';
import { resultSchema } from './result.ts';

const timeSchema = z.iso.datetime();
const placeSchema = z
  .int()
  .describe('Counted from 0: the place in `items`, the line of the manifest, or the place in the listing.');

/** An item, line or object that became no job. */
export const rejectionSchema = z.object({
  index: placeSchema,
  code: z.enum(['invalid-json', 'line-too-long', 'unknown-field', 'validation-failed', 'source-not-allowed']),
  detail: z.string(),
});
export type Rejection = z.infer<typeof rejectionSchema>;

/** Why no jobs are being made at the moment; it goes on by itself. */
export const waitReasonSchema = z.enum([
  'queue-full',
  'quota-exceeded',
  'memory',
  'queue-unavailable',
  'storage-unavailable',
  'internal',
]);
export type WaitReason = z.infer<typeof waitReasonSchema>;

/** Why the rest of the source became no jobs. */
export const ingestErrorSchema = z.object({
  code: z.enum([...failureCodeSchema.options, 'too-many-items']),
  message: z.string(),
});
export type IngestError = z.infer<typeof ingestErrorSchema>;

export const batchCountNames = [...statusSchema.options, 'deleted'] as const;
const batchCountsSchema = z.record(z.enum(batchCountNames), z.int());
export type BatchCounts = z.infer<typeof batchCountsSchema>;

const batchStatusSchema = z
  .enum(['ingesting', 'running', 'canceling', 'completed', 'canceled'])
  .describe(
    'ingesting: jobs are still being made; running: all are made and some have not ended; completed: all have ended, however.',
  );
export type BatchStatus = z.infer<typeof batchStatusSchema>;

const ingestSchema = z.object({
  state: z.enum(['running', 'waiting', 'done', 'failed', 'canceled']),
  waitingFor: waitReasonSchema.nullable().describe('Set while waiting.'),
  error: ingestErrorSchema
    .nullable()
    .describe(
      'Set when failed: what became jobs before stays as it is, the rest of the source is not taken.',
    ),
  indexed: z.int().describe('Items, lines or objects that have been dealt with.'),
});

const shownSourceSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('items'), count: z.int() }),
  z.object({
    type: z.literal('manifest'),
    bucket: z.string(),
    key: z.string(),
    versionId: z.string().nullable(),
    sizeBytes: z.int(),
  }),
  z.object({
    type: z.literal('prefix'),
    bucket: z.string(),
    prefix: z.string(),
    glob: z.string().nullable(),
  }),
]);

const summarySchema = z.object({
  object: z.literal('batch'),
  id: batchIdSchema,
  status: batchStatusSchema,
  createdAt: timeSchema,
  finishedAt: timeSchema.nullable(),
  expiresAt: timeSchema.nullable().describe('When the batch is forgotten; null until it has ended.'),
  source: shownSourceSchema,
  mode: modeSchema,
  model: z.string(),
  priority: bulkPrioritySchema,
  deadline: timeSchema.nullable(),
  metadata: z.record(z.string(), z.string()),
  ingest: ingestSchema,
  jobCount: z.int().describe('Jobs made so far.'),
  counts: batchCountsSchema.describe('Jobs by their state.'),
  percent: z.number().nullable().describe('Share of jobs that have ended; null until all jobs are made.'),
  ratePerSecond: z.number().describe('Jobs ended per second, over the last minute.'),
  estimatedFinishAt: timeSchema
    .nullable()
    .describe('At that rate; null until all jobs are made, while none end, and at the end.'),
  rejectedCount: z.int(),
  links: z.object({ self: z.string(), items: z.string(), results: z.string(), cancel: z.string() }),
});

export const batchSchema = summarySchema
  .extend({ rejected: z.array(rejectionSchema).describe('The first of the rejected.') })
  .meta({ id: 'Batch' });
export type Batch = z.infer<typeof batchSchema>;

export const batchListSchema = z
  .object({
    object: z.literal('list'),
    data: z.array(summarySchema.meta({ id: 'BatchSummary' })),
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'BatchList' });

/** A line of `GET /v1/batches/{id}/results`. */
export const batchResultSchema = z
  .object({
    jobId: jobIdSchema,
    index: placeSchema,
    status: statusSchema,
    result: resultSchema.nullable().describe('null unless succeeded or partial.'),
    error: z
      .union([
        failureSchema,
        z.object({ code: z.enum(['result-expired', 'storage-unavailable']), message: z.string() }),
      ])
      .nullable()
      .describe('Why the job failed, or why its result cannot be given.'),
  })
  .meta({ id: 'BatchResult' });

/** The body of a webhook delivery that tells of a batch's completion. */
export const batchEventSchema = z
  .object({
    type: z.literal('batch.completed'),
    timestamp: timeSchema,
    data: z.object({
      batchId: batchIdSchema,
      status: batchStatusSchema.extract(['completed', 'canceled']),
      counts: z
        .record(z.enum(['succeeded', 'partial', 'failed', 'expired', 'canceled', 'deleted']), z.int())
        .describe('Jobs by the state they ended in.'),
      rejectedCount: z.int(),
      metadata: z.record(z.string(), z.string()),
      results: z.string().describe('Path of the results, relative to the API.'),
    }),
  })
  .meta({ id: 'BatchEvent' });
export type BatchEvent = z.infer<typeof batchEventSchema>;
