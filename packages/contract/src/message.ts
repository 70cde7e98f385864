import { z } from 'zod';
import { jobIdSchema, uploadIdSchema } from './id.ts';
import { cacheSchema, modeSchema, optionsSchema, prioritySchema } from './request.ts';

/** Where a worker reads the document: inline bytes have been put into our own bucket by then. */
const documentSchema = z.object({
  bucket: z.string(),
  key: z.string(),
  versionId: z.string().nullable(),
  ifMatch: z.string().nullable(),
});

/** Who is told of the job's end, and of which ends: null means of each. Without it the tenant's endpoints are. */
const taskWebhookSchema = z.union([
  z.object({ url: z.string(), events: z.array(z.string()).nullable() }),
  z.object({ endpointIds: z.array(z.string()), events: z.array(z.string()).nullable() }),
]);

/** A job as the API hands it to the workers; stored once, in the job's record. */
export const taskSchema = z.object({
  document: documentSchema,
  inline: z
    .object({ contentType: z.string(), sizeBytes: z.int(), uploadId: uploadIdSchema.optional() })
    .nullable()
    .describe('Set when the document came with the request, or by an upload, and is ours to delete.'),
  mode: modeSchema,
  model: z.string(),
  modelVersion: z.string().nullable().default(null),
  // Not strict: a newer producer may know options that this process does not.
  options: z.object(optionsSchema.shape),
  cache: cacheSchema.default('use'),
  webhook: taskWebhookSchema.nullable(),
  priority: prioritySchema,
  ttlSeconds: z.int().positive(),
  timeoutSeconds: z.int().positive().nullable(),

  places: z
    .array(z.object({ bucket: z.string(), prefix: z.string() }))
    .nullable()
    .describe(
      'Where the submitter may read; checked once more before the document is fetched. null: anywhere.',
    ),
  metadata: z.record(z.string(), z.string()),
  traceparent: z
    .string()
    .nullable()
    .default(null)
    .describe('Of the request that submitted it (W3C Trace Context): its spans go below.'),
});
export type Task = z.infer<typeof taskSchema>;

/**
 * The payload of the queue. Versioned, so that an old worker leaves a newer producer's jobs to a newer
 * worker instead of failing them.
 */
export const messageSchema = z.object({ v: z.literal(1), jobId: jobIdSchema, tenant: z.string() });
export type Message = z.infer<typeof messageSchema>;
