import { z } from 'zod';
import { failureSchema } from './failure.ts';
import { batchIdSchema, jobIdSchema, uploadIdSchema } from './id.ts';
import { modeSchema, prioritySchema } from './request.ts';

export const statusSchema = z.enum([
  'queued',
  'running',
  'canceling',
  'succeeded',
  'partial',
  'failed',
  'canceled',
  'expired',
]);
export type Status = z.infer<typeof statusSchema>;
/** The states a job ends in, and stays in unless somebody asks for another attempt. */
export type FinalStatus = Exclude<Status, 'queued' | 'running' | 'canceling'>;

/** Whether a job in this state can change no more. */
export function isFinal(status: Status): status is FinalStatus {
  return status !== 'queued' && status !== 'running' && status !== 'canceling';
}

/** A number of milliseconds per stage of a job's path, summed over its pages. */
export const timingsSchema = z.object({
  queueMs: z.number().describe('From submission to the start of the attempt that ended the job.'),
  fetchMs: z.number(),
  decodeMs: z.number(),
  detectMs: z.number(),
  recognizeMs: z.number().describe('From a page’s first line handed to the batcher to its last reading.'),
  totalMs: z.number().describe('From the start of that attempt to its commit.'),
});
export type Timings = z.infer<typeof timingsSchema>;

export const usageSchema = z.object({ pages: z.int(), lines: z.int(), megapixels: z.number() });
export type Usage = z.infer<typeof usageSchema>;

const cacheOutcomeSchema = z
  .enum(['hit', 'miss', 'bypass'])
  .describe(
    'hit: an earlier result was given, and nothing read; miss: the document was read; bypass: the cache was not asked.',
  );
export type CacheOutcome = z.infer<typeof cacheOutcomeSchema>;

export const jobUsageSchema = usageSchema.extend({ cache: cacheOutcomeSchema });
export type JobUsage = z.infer<typeof jobUsageSchema>;

export const warningSchema = z.object({ code: z.string(), message: z.string(), page: z.int().optional() });
export type Warning = z.infer<typeof warningSchema>;

const progressSchema = z.object({
  pagesTotal: z.int().nullable(),
  pagesDone: z.int(),
  pagesFailed: z.int(),
});
export type Progress = z.infer<typeof progressSchema>;

const timeSchema = z.iso.datetime();

/** The source as shown: never the bytes of an inline document. */
const shownSourceSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('s3'),
    bucket: z.string(),
    key: z.string(),
    versionId: z.string().nullable(),
    ifMatch: z.string().nullable(),
  }),
  z.object({ type: z.literal('inline'), contentType: z.string(), sizeBytes: z.int() }),
  z.object({
    type: z.literal('upload'),
    uploadId: uploadIdSchema,
    contentType: z.string(),
    sizeBytes: z.int(),
  }),
]);

export const jobSchema = z
  .object({
    object: z.literal('job'),
    id: jobIdSchema,
    status: statusSchema,
    createdAt: timeSchema,
    startedAt: timeSchema.nullable(),
    finishedAt: timeSchema.nullable(),
    expiresAt: timeSchema
      .nullable()
      .describe('When the job and its result are forgotten; null while it runs.'),
    source: shownSourceSchema,
    mode: modeSchema,
    model: z.string(),
    modelVersion: z.string().nullable().describe('The version asked for; the result says which read it.'),
    batchId: batchIdSchema.nullable(),
    batchIndex: z.int().nullable().describe('Where in its batch’s source it stands, counted from 0.'),
    priority: prioritySchema,
    deadline: timeSchema.nullable().describe('When the job ends as expired unless it has ended before.'),
    attempt: z.int().describe('Attempts begun so far.'),
    progress: progressSchema,
    error: failureSchema.nullable(),
    warnings: z.array(warningSchema),
    cache: cacheOutcomeSchema.nullable().describe('null until there is a result.'),
    usage: jobUsageSchema.nullable(),
    timings: timingsSchema.nullable(),
    metadata: z.record(z.string(), z.string()),
    links: z.object({
      self: z.string(),
      result: z.string(),
      pages: z.string(),
      events: z.string(),
      cancel: z.string(),
    }),
  })
  .meta({ id: 'Job' });
export type Job = z.infer<typeof jobSchema>;

export const jobListSchema = z
  .object({ object: z.literal('list'), data: z.array(jobSchema), nextCursor: z.string().nullable() })
  .meta({ id: 'JobList' });
