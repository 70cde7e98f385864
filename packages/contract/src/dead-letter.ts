import { z } from 'zod';
import { jobSchema } from './job.ts';

/** A job that failed for good, as its operator sees it. */
export const deadLetterSchema = jobSchema.extend({ tenant: z.string() }).meta({ id: 'DeadLetter' });
export type DeadLetter = z.infer<typeof deadLetterSchema>;
