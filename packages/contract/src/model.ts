import { z } from 'zod';
import { servedModelSchema } from './result.ts';

export const modelSchema = servedModelSchema
  .extend({
    object: z.literal('model'),
    default: z.boolean(),
    maxBatchSize: z.int(),
    ready: z.boolean().describe('Whether a worker that serves it reported within the last half minute.'),
  })
  .meta({ id: 'Model' });
export type Model = z.infer<typeof modelSchema>;

export const modelListSchema = z
  .object({ object: z.literal('list'), data: z.array(modelSchema), nextCursor: z.null() })
  .meta({ id: 'ModelList' });
