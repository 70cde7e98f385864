import {
  type BatchCounts,
  type BatchStatus,
  batchCountNames,
  type IngestError,
  ingestErrorSchema,
  type WaitReason,
  waitReasonSchema,
} from '@glyphmill/contract/batch';
import { type BatchPlan, batchPlanSchema } from '@glyphmill/contract/batch-plan';
import { z } from 'zod';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { slotMs } from './last-minute.ts';
import { stringHash } from './list.ts';

/** All that Redis knows of a batch beside its jobs. Times are milliseconds since 1970. */
export interface BatchRecord {
  id: string;
  tenant: string;
  plan: BatchPlan;
  createdAtMs: number;
  finishedAtMs: number | null;
  expiresAtMs: number | null;
  cancelAtMs: number | null;
  /** Whether jobs are still being made of its source. */
  ingest: 'running' | 'done' | 'failed' | 'canceled';
  waitingFor: WaitReason | null;
  /** Waits since a job was made, and since when it is trouble that keeps it. */
  waits: number;
  troubleSinceMs: number | null;
  error: IngestError | null;
  /** Where its source is to be read on. */
  index: number;
  cursor: string;
  /** No job's place is at or after this one. */
  jobs: number;
  /** What is to be done by whoever takes it, and at which place. */
  work: 'ingest' | 'cancel' | 'retry' | null;
  workIndex: number;
  counts: BatchCounts;
  rejectedCount: number;
  /** Jobs that ended per second, in the last minute. */
  ratePerSecond: number;
}

/** Slots that tell the rate, the present one included. */
const slotsLookedAt = 6;

const wholeNumber = z.coerce.number().int();
const counter = wholeNumber.default(0);
const optionalNumber = wholeNumber.optional().transform((number) => number ?? null);
const json = z.string().transform((text): unknown => JSON.parse(text));

const hashSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  plan: json.pipe(batchPlanSchema),
  createdAt: wholeNumber,
  finishedAt: optionalNumber,
  expiresAt: optionalNumber,
  cancelAt: optionalNumber,
  ingest: z.enum(['running', 'done', 'failed', 'canceled']),
  waitingFor: waitReasonSchema.optional(),
  waits: counter,
  troubleSince: optionalNumber,
  error: z
    .string()
    .default('')
    .transform((text): unknown => (text === '' ? null : JSON.parse(text)))
    .pipe(ingestErrorSchema.nullable()),
  index: wholeNumber,
  cursor: z.string().default(''),
  jobs: wholeNumber,
  work: z.enum(['ingest', 'cancel', 'retry']).optional(),
  workIndex: counter,
  rejected: wholeNumber,
});
const countsSchema = z.record(z.enum(batchCountNames), wholeNumber);

/** The batches with these ids; undefined for one that there is not (any more). Throws when a record is damaged. */
export async function readBatches(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
): Promise<(BatchRecord | undefined)[]> {
  const nowMs = Date.now();
  const slot = Math.floor(nowMs / slotMs);
  const pipeline = redis.pipeline();
  for (const id of ids) {
    pipeline.hgetall(keys.batch(id));
    pipeline.mget(Array.from({ length: slotsLookedAt }, (_, age) => keys.batchEnded(id, slot - age)));
  }
  const answers = ((await pipeline.exec()) ?? []).map(([error, answer]) => {
    if (error) throw error;
    return answer;
  });
  return ids.map((_, position) =>
    parseBatch(stringHash(answers[2 * position]), { endings: answers[2 * position + 1], nowMs }),
  );
}

function parseBatch(
  hash: Record<string, string>,
  { endings, nowMs }: { endings: unknown; nowMs: number },
): BatchRecord | undefined {
  if (hash.id === undefined) return undefined;
  const { createdAt, finishedAt, expiresAt, cancelAt, troubleSince, rejected, ...fields } =
    hashSchema.parse(hash);
  const counts = Object.fromEntries(batchCountNames.map((name) => [name, hash[name] ?? 0]));
  const ended = Array.isArray(endings) ? endings.reduce((sum, text) => sum + Number(text ?? 0), 0) : 0;
  const windowMs = Math.min((slotsLookedAt - 1) * slotMs + (nowMs % slotMs), nowMs - createdAt);
  return {
    ...fields,
    waitingFor: fields.waitingFor ?? null,
    work: fields.work ?? null,
    createdAtMs: createdAt,
    // What failed is about to be tried again: nobody should take its first end for the one that follows.
    finishedAtMs: fields.work === 'retry' ? null : finishedAt,
    expiresAtMs: fields.work === 'retry' ? null : expiresAt,
    cancelAtMs: cancelAt,
    troubleSinceMs: troubleSince,
    rejectedCount: rejected,
    counts: countsSchema.parse(counts),
    ratePerSecond: ended / Math.max(1, windowMs / 1000),
  };
}

/** Jobs that may still change. */
export function openJobs({ counts: { queued, running, canceling } }: BatchRecord): number {
  return queued + running + canceling;
}

export function batchStatusOf({ finishedAtMs, cancelAtMs, ingest, work }: BatchRecord): BatchStatus {
  if (work === 'retry') return 'running';
  if (finishedAtMs !== null) return cancelAtMs === null ? 'completed' : 'canceled';
  if (cancelAtMs !== null) return 'canceling';
  return ingest === 'running' ? 'ingesting' : 'running';
}
