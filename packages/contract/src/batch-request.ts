import { z } from 'zod';
import { eventTypeSchema, jobEventTypeSchema } from './event-type.ts';
import {
  bucketSchema,
  bulkPrioritySchema,
  createJobSchema,
  keySchema,
  metadataSchema,
  optionsSchema,
  s3SourceSchema,
  sourceSchema,
} from './request.ts';
import { oneReceiver, receiverShape } from './webhook.ts';

/** Sizes that a batch may have. */
export const batchLimits = {
  batchItems: 1000,
  manifestLines: 100_000,
  /** Room for a key of the longest and all metadata. */
  manifestLineBytes: 16_384,
  manifestBytes: 256_000_000,
  prefixObjects: 100_000,
  /** Objects looked at for those that match a glob. */
  prefixListed: 1_000_000,
  globLength: 100,
  /** Batches of one tenant whose jobs are still being made. */
  batchesIngesting: 100,
  /** Rejections that are kept one by one; beyond that they are counted. */
  batchRejections: 1000,
} as const;

/** Options of one item, over those of the batch: all of them may be left out, and none has a default of its own. */
const optionOverridesSchema = z.strictObject(
  Object.fromEntries(
    Object.entries(optionsSchema.shape).map(([name, schema]) => [
      name,
      (schema instanceof z.ZodDefault ? schema.unwrap() : schema).optional(),
    ]),
  ),
);

const overridesShape = {
  options: optionOverridesSchema.optional().describe('Over the options of the batch.'),
  metadata: metadataSchema.default({}).describe('Added to the metadata of the batch.'),
};

export const batchItemSchema = z
  .strictObject({ source: sourceSchema, ...overridesShape })
  .meta({ id: 'BatchItem' });
export type BatchItem = z.infer<typeof batchItemSchema>;

/** A line of a manifest: its document is in S3. */
export const manifestLineSchema = z
  .strictObject({ source: z.discriminatedUnion('type', [s3SourceSchema]), ...overridesShape })
  .meta({ id: 'ManifestLine' });

const manifestSchema = z
  .strictObject({
    bucket: bucketSchema,
    key: keySchema,
    versionId: z.string().min(1).max(1024).nullish(),
  })
  .describe(
    `An object of JSON lines, each an item: at most ${batchLimits.manifestLines} of ${batchLimits.manifestLineBytes} bytes.`,
  );

const prefixSchema = z
  .strictObject({
    bucket: bucketSchema,
    prefix: z
      .string()
      .max(1024)
      .default('')
      .describe('Every object whose key begins with this; without it every one of the bucket.'),
    glob: z
      .string()
      .min(1)
      .max(batchLimits.globLength)
      .nullish()
      .describe('What must follow the prefix: ? and * stand for anything but "/", ** for anything.'),
  })
  .describe(`At most ${batchLimits.prefixObjects} objects.`);

const batchEventTypeSchema = eventTypeSchema.extract(['batch.completed', ...jobEventTypeSchema.options]);

/** Who is told, in place of all endpoints of the tenant. */
const batchWebhookSchema = z
  .strictObject({
    ...receiverShape,
    events: z
      .array(batchEventTypeSchema)
      .min(1)
      .default(['batch.completed'])
      .describe('Name events of jobs as well to be told of each.'),
  })
  .refine(...oneReceiver)
  .meta({ id: 'BatchWebhook' });
export type BatchWebhook = z.infer<typeof batchWebhookSchema>;

function requestSchema<I extends z.ZodType>(item: I) {
  return z
    .strictObject({
      ...createJobSchema.omit({ source: true, webhook: true }).shape,
      priority: bulkPrioritySchema.default('normal'),
      webhook: batchWebhookSchema.optional(),
      items: z.array(item).min(1).max(batchLimits.batchItems).optional(),
      manifest: manifestSchema.optional(),
      prefix: prefixSchema.optional(),
    })
    .refine(
      ({ items, manifest, prefix }) => [items, manifest, prefix].filter(Boolean).length === 1,
      'expected exactly one of items, manifest and prefix',
    );
}

/** The body of `POST /v1/batches` as it is documented. */
export const createBatchSchema = requestSchema(batchItemSchema).meta({ id: 'CreateBatch' });
/** The same, its items still to be looked at one by one: a bad one is rejected alone. */
export const looseBatchSchema = requestSchema(z.unknown());
export type LooseBatch = z.infer<typeof looseBatchSchema>;
