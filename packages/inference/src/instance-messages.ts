import { z } from 'zod';

/** What parent and child say to each other. Pixels cross once, as bytes; tensors never do. */

const imageSchema = z.object({
  width: z.int().positive(),
  height: z.int().positive(),
  // Not z.instanceof, which asks for bytes over an ArrayBuffer of their own.
  data: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
});
/** A page for a detector or a line for a recogniser: RGB, 8 bits, row-major. */
export type ImageBytes = z.infer<typeof imageSchema>;

const openSchema = z.object({
  type: z.literal('open'),
  configText: z.string(),
  configPath: z.string(),
  modelPath: z.string(),
  labelPath: z.string().optional(),
  sha256: z.string(),
  provider: z.enum(['auto', 'cpu', 'cuda']),
  gpu: z.int().nonnegative(),
  intraThreads: z.int().positive(),
  interThreads: z.int().positive(),
});
export type OpenMessage = z.infer<typeof openSchema>;

const runSchema = z.object({
  type: z.literal('run'),
  id: z.int(),
  /** Pixels that lines are padded to; pages are sent as they are. */
  width: z.int().positive(),
  items: z.array(imageSchema),
});
export type RunMessage = z.infer<typeof runSchema>;

export const toChildSchema = z.discriminatedUnion('type', [openSchema, runSchema]);

const readySchema = z.object({
  type: z.literal('ready'),
  provider: z.enum(['cpu', 'cuda']),
  /** Why `auto` did not take CUDA. */
  providerReason: z.string().optional(),
  /** Entries of the dictionary, 0 for a detector. */
  labels: z.int(),
  rssBytes: z.number(),
});
export type ReadyMessage = z.infer<typeof readySchema>;

const refusedSchema = z.object({
  type: z.literal('refused'),
  code: z.enum(['config', 'provider-unavailable', 'start-failed']),
  message: z.string(),
  config: z
    .object({ file: z.string(), field: z.string(), problem: z.string(), remedy: z.string() })
    .optional(),
});
export type RefusedMessage = z.infer<typeof refusedSchema>;

const doneSchema = z.object({
  type: z.literal('done'),
  id: z.int(),
  outputs: z.array(z.unknown()),
  packSeconds: z.number(),
  inferSeconds: z.number(),
  postSeconds: z.number(),
  rssBytes: z.number(),
});
export type DoneMessage = z.infer<typeof doneSchema>;

const failedSchema = z.object({
  type: z.literal('failed'),
  id: z.int(),
  code: z.enum(['bad-input', 'bad-output', 'run-failed']),
  message: z.string(),
  rssBytes: z.number(),
});
export type FailedMessage = z.infer<typeof failedSchema>;

export const toParentSchema = z.discriminatedUnion('type', [
  readySchema,
  refusedSchema,
  doneSchema,
  failedSchema,
]);
export type ToParent = z.infer<typeof toParentSchema>;

const fraction = z.number().min(0).max(1);
const corner = z.number();
export const regionsSchema = z.array(
  z.object({
    quad: z.tuple([corner, corner, corner, corner, corner, corner, corner, corner]),
    score: fraction,
  }),
);
export const readingSchema = z.object({
  text: z.string(),
  confidence: fraction,
  characters: z.array(z.object({ text: z.string(), confidence: fraction })),
});
