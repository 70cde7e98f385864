import { z } from 'zod';
import { taskSchema } from './message.ts';

// What the API process that took a batch leaves for the one that makes its jobs.

const batchSourceSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('items'), count: z.int() }),
  z.object({
    type: z.literal('manifest'),
    bucket: z.string(),
    key: z.string(),
    versionId: z.string().nullable(),
    ifMatch: z.string().nullable().describe('The manifest as it was when the batch was taken, and no other.'),
    sizeBytes: z.int(),
  }),
  z.object({
    type: z.literal('prefix'),
    bucket: z.string(),
    prefix: z.string(),
    glob: z.string().nullable(),
  }),
]);
export type BatchSource = z.infer<typeof batchSourceSchema>;

/** What all jobs of a batch have in common, and where the rest comes from. */
export const batchPlanSchema = z.object({
  source: batchSourceSchema,
  task: taskSchema.omit({ document: true, inline: true }),
  deadlineMs: z.int().nullable(),
});
export type BatchPlan = z.infer<typeof batchPlanSchema>;

/** A job to be: what is its own beside the plan. */
export const batchEntrySchema = taskSchema
  .pick({ document: true, inline: true, options: true, metadata: true })
  .extend({ index: z.int() });
export type BatchEntry = z.infer<typeof batchEntrySchema>;
