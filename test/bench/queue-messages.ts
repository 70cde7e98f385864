import { z } from 'zod';

/** Whose queue a process of the bench works with: ours, or BullMQ as it comes. */
const sideSchema = z.enum(['ours', 'bare']);
export type Side = z.infer<typeof sideSchema>;

const positive = z.int().positive();

/** What processes of the bench are asked to do. */
export const requestSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('open'), side: sideSchema, url: z.string() }),
  /** Submits jobs one by one, so many at a time. */
  z.object({ type: z.literal('submit'), jobs: positive, atOnce: positive }),
  /** Adds jobs as those of a batch are, a chunk at a time. */
  z.object({ type: z.literal('bulk'), jobs: positive }),
  /** Works off jobs that wait; the first of them starts the clock. */
  z.object({ type: z.literal('work'), jobs: positive, concurrency: positive }),
  /** Starts a worker that goes on until the process ends, and takes so long for each job. */
  z.object({ type: z.literal('serve'), concurrency: positive, jobMs: z.number() }),
  /** Submits jobs, each once the one before has ended. */
  z.object({ type: z.literal('trips'), jobs: positive }),
]);
export type QueueRequest = z.infer<typeof requestSchema>;

export const doneSchema = z.object({ done: z.literal(true) });
/** Of so many jobs, in the process that answers. */
export const spentSchema = z.object({ seconds: z.number(), cpuSeconds: z.number() });
export type Spent = z.infer<typeof spentSchema>;
/** From the call that submits a job to when its producer knows that it has ended. */
export const tripsSchema = z.object({ tripMs: z.array(z.number()) });
