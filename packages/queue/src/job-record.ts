import { type Failure, failureSchema } from '@glyphmill/contract/failure';
import {
  type JobUsage,
  jobUsageSchema,
  type Progress,
  type Status,
  statusSchema,
  type Timings,
  timingsSchema,
  type Warning,
  warningSchema,
} from '@glyphmill/contract/job';
import { type Task, taskSchema } from '@glyphmill/contract/message';
import { z } from 'zod';
import { parseTask } from './attempt.ts';

/** All that Redis knows of a job. Times are milliseconds since 1970. */
export interface JobRecord {
  id: string;
  tenant: string;
  task: Task;
  status: Status;
  /** The batch it belongs to, and its place in there. */
  batch: { id: string; index: number } | null;
  createdAtMs: number;
  startedAtMs: number | null;
  finishedAtMs: number | null;
  expiresAtMs: number | null;
  deadlineMs: number | null;
  /** Grows with each change that watchers are told of. */
  revision: number;
  attempt: number;
  progress: Progress;
  failure: Failure | null;
  warnings: Warning[];
  usage: JobUsage | null;
  timings: Timings | null;
  /** Where a result too large for Redis was put. */
  resultObject: { bucket: string; key: string } | null;
}

const wholeNumber = z.coerce.number().int().catch(0);
const optionalNumber = z
  .string()
  .optional()
  .transform((text) =>
    text === undefined || text === '' || Number.isNaN(Number(text)) ? null : Number(text),
  );

/** A field that holds JSON, '' standing for null. */
function jsonField<S extends z.ZodType>(schema: S) {
  return z
    .string()
    .optional()
    .transform((text): unknown => (text === undefined || text === '' ? null : JSON.parse(text)))
    .pipe(schema.nullable());
}

/** Stands for a wish that is damaged: the job ends as `invalid-job`, and whoever asked for it is to see that. */
const unreadableTask: Task = taskSchema.parse({
  document: { bucket: '', key: '', versionId: null, ifMatch: null },
  inline: null,
  mode: 'document',
  model: 'default',
  options: {},
  webhook: null,
  priority: 'normal',
  ttlSeconds: 1,
  timeoutSeconds: null,
  places: [],
  metadata: {},
});

const hashSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  task: z.string().transform((text) => parseTask(text) ?? unreadableTask),
  status: statusSchema,
  batchId: z.string().optional(),
  index: z.coerce.number().int().default(0),
  createdAt: wholeNumber,
  startedAt: optionalNumber,
  finishedAt: optionalNumber,
  expiresAt: optionalNumber,
  deadline: optionalNumber,
  revision: z.coerce.number().int().default(0),
  attempt: wholeNumber,
  pagesTotal: optionalNumber,
  pagesDone: z.coerce.number().int().default(0),
  pagesFailed: z.coerce.number().int().default(0),
  failure: jsonField(failureSchema),
  warnings: jsonField(z.array(warningSchema)),
  usage: jsonField(jobUsageSchema),
  timings: jsonField(timingsSchema),
  resultBucket: z.string().default(''),
  resultKey: z.string().default(''),
});

/**
 * Reads a record from its hash; undefined when there is none. What is damaged in a job's wish, times and counts reads as
 * none, so that the job can be looked at and its neighbours listed. Throws where more is damaged.
 */
export function parseRecord(hash: Record<string, string>): JobRecord | undefined {
  if (hash.id === undefined) return undefined;
  const fields = hashSchema.parse(hash);
  return {
    id: fields.id,
    tenant: fields.tenant,
    task: fields.task,
    status: fields.status,
    batch: fields.batchId === undefined ? null : { id: fields.batchId, index: fields.index },
    createdAtMs: fields.createdAt,
    startedAtMs: fields.startedAt,
    finishedAtMs: fields.finishedAt,
    expiresAtMs: fields.expiresAt,
    deadlineMs: fields.deadline,
    revision: fields.revision,
    attempt: fields.attempt,
    progress: {
      pagesTotal: fields.pagesTotal,
      pagesDone: fields.pagesDone,
      pagesFailed: fields.pagesFailed,
    },
    failure: fields.failure,
    warnings: fields.warnings ?? [],
    usage: fields.usage,
    timings: fields.timings,
    resultObject: fields.resultKey === '' ? null : { bucket: fields.resultBucket, key: fields.resultKey },
  };
}
