import { z } from 'zod';
import { uploadIdSchema } from './id.ts';
import { webhookSchema } from './webhook.ts';

/** Sizes that a request may have. What an operator may change is in the API's configuration instead. */
export const requestLimits = {
  inlineBytes: 5_000_000,
  /** S3's own limit of a single PUT is 5 GB; no worker takes documents of more than this. */
  presignedBytes: 500_000_000,
  metadataEntries: 16,
  metadataKeyLength: 64,
  metadataValueLength: 512,
  ttlSecondsMin: 60,
  ttlSecondsMax: 30 * 86_400,
  timeoutSecondsMax: 86_400,
  waitSecondsMax: 60,
} as const;

export const bucketSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'expected a bucket name: 3–63 of a–z, 0–9, "." and "-"');

export const keySchema = z
  .string()
  .min(1)
  .refine((key) => new TextEncoder().encode(key).length <= 1024, 'expected at most 1024 bytes of UTF-8');

export const s3SourceSchema = z
  .strictObject({
    type: z.literal('s3'),
    bucket: bucketSchema,
    key: keySchema,
    versionId: z.string().min(1).max(1024).nullish().describe('Read this version of the object.'),
    ifMatch: z
      .string()
      .min(1)
      .max(256)
      .nullish()
      .describe('Fail with source-changed unless the object has this ETag.'),
  })
  .meta({ id: 'S3Source' });

/** Base64 of n bytes has 4·ceil(n/3) characters. */
const inlineLength = Math.ceil(requestLimits.inlineBytes / 3) * 4;

export const contentTypeSchema = z
  .string()
  .regex(/^[a-z]+\/[a-z0-9.+-]+$/, 'expected a media type such as image/png')
  .max(127);

const inlineSourceSchema = z
  .strictObject({
    type: z.literal('inline'),
    contentType: contentTypeSchema,
    data: z
      .base64('expected standard base64')
      .min(4)
      .max(
        inlineLength,
        `expected at most ${requestLimits.inlineBytes} bytes; upload a larger document, or put it into S3`,
      ),
  })
  .meta({ id: 'InlineSource' });

const uploadSourceSchema = z
  .strictObject({
    type: z.literal('upload'),
    uploadId: uploadIdSchema.describe(
      'Of POST /v1/uploads; the document is removed with the job that read it.',
    ),
  })
  .meta({ id: 'UploadSource' });

export const sourceSchema = z.discriminatedUnion('type', [
  s3SourceSchema,
  inlineSourceSchema,
  uploadSourceSchema,
]);

export const modeSchema = z
  .enum(['document', 'line'])
  .describe('document: find the lines, then read them; line: the whole image is one line of text.');
export type Mode = z.infer<typeof modeSchema>;

export const prioritySchema = z.enum(['high', 'normal', 'low']);
/** Of jobs by the thousand: a high one would go before everybody's. */
export const bulkPrioritySchema = prioritySchema.exclude(['high']);
export type Priority = z.infer<typeof prioritySchema>;

export const optionsSchema = z
  .strictObject({
    pages: z
      .string()
      .regex(/^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$/, 'expected page numbers like "1-3,7"')
      .max(200)
      .optional()
      .describe('Pages to read, counted from 1, for example "1-3,7". Default: all.'),
    minConfidence: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('Leave out lines read with less confidence than this.'),
    maxSideLength: z
      .int()
      .min(320)
      .max(1920)
      .default(960)
      .describe(
        'Longer side in pixels of the page as the detector sees it. More finds smaller print, and costs more.',
      ),
    characters: z.boolean().default(false).describe('Add every character with its own confidence.'),
    microBatches: z
      .boolean()
      .optional()
      .describe('Add the micro-batches that its pages and lines rode in, with those of other documents.'),
  })
  .meta({ id: 'Options' });
export type Options = z.infer<typeof optionsSchema>;

export const cacheSchema = z
  .enum(['use', 'refresh', 'bypass'])
  .describe(
    'use: give the result of an earlier job of yours that read the same version of the object with the same models and options, where there is one; refresh: read anew, for later jobs too; bypass: read anew, and keep nothing for others. Inline documents are always read.',
  );

export const metadataSchema = z
  .record(
    z.string().min(1).max(requestLimits.metadataKeyLength),
    z.string().max(requestLimits.metadataValueLength),
  )
  .refine(
    (metadata) => Object.keys(metadata).length <= requestLimits.metadataEntries,
    `expected at most ${requestLimits.metadataEntries} entries`,
  );

/** The body of `POST /v1/jobs`. Unknown fields are refused by name. */
export const createJobSchema = z
  .strictObject({
    source: sourceSchema,
    mode: modeSchema.default('document'),
    model: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/, 'expected a model name')
      .default('default')
      .describe('The recogniser; "default" is the one the workers serve by default.'),
    modelVersion: z
      .string()
      .regex(/^[1-9]\d{0,9}$/, 'expected the number of a version, such as "2"')
      .nullish()
      .describe('Read every line with this version of the recogniser. Default: the newest that is served.'),
    options: optionsSchema.prefault({}),
    cache: cacheSchema.default('use'),
    webhook: webhookSchema.optional(),
    priority: prioritySchema.default('normal'),
    timeoutSeconds: z
      .int()
      .min(1)
      .max(requestLimits.timeoutSecondsMax)
      .nullish()
      .describe('Longest time for one attempt, where it is less than the workers’ own limit.'),
    deadline: z.iso
      .datetime({ offset: true })
      .nullish()
      .describe('After this time nobody wants the result any more: the job ends as expired.'),
    ttlSeconds: z
      .int()
      .min(requestLimits.ttlSecondsMin)
      .max(requestLimits.ttlSecondsMax)
      .default(86_400)
      .describe('How long the job and its result stay readable after its end.'),
    metadata: metadataSchema.default({}),
  })
  .meta({ id: 'CreateJob' });
export type CreateJob = z.infer<typeof createJobSchema>;
