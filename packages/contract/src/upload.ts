import { z } from 'zod';
import { uploadIdSchema } from './id.ts';
import { contentTypeSchema, requestLimits } from './request.ts';

/** The body of `POST /v1/uploads`. */
export const createUploadSchema = z
  .strictObject({
    contentType: contentTypeSchema,
    sizeBytes: z.int().min(1).max(requestLimits.presignedBytes),
  })
  .meta({ id: 'CreateUpload' });

export const uploadSchema = z
  .object({
    object: z.literal('upload'),
    uploadId: uploadIdSchema,
    method: z.literal('PUT'),
    url: z.string().describe('At the object store. It needs no API key and should be shown none.'),
    headers: z
      .record(z.string(), z.string())
      .describe('To be sent as they are; an upload of another size or type is refused by the store.'),
    expiresAt: z.iso.datetime().describe('Until when the upload may begin.'),
  })
  .meta({ id: 'Upload' });
