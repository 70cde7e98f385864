import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { newId } from '@glyphmill/contract/id';
import { type Task, taskSchema } from '@glyphmill/contract/message';

/** A queue to submit to and to work off, ours or BullMQ's. */
export interface QueueSide {
  submit(): Promise<void>;
  /** Adds so many jobs the way jobs by the thousand are. */
  bulk(jobs: number): Promise<void>;
  /** Submits a job and resolves when its end is known. */
  trip(): Promise<void>;
  /** Starts a worker. `onJob` is called when a job is in hand and when it is done. */
  work(options: WorkOptions): Promise<{ close(): Promise<void> }>;
}

export interface WorkOptions {
  concurrency: number;
  jobMs: number;
  onBegin: () => void;
  onEnd: () => void;
}

/** Jobs of one call of `bulk`, as the making of batches has it. */
export const bulkSize = 200;

const template = taskSchema.parse({
  document: { bucket: 'scans', key: '', versionId: null, ifMatch: null },
  inline: null,
  mode: 'document',
  model: 'default',
  options: {},
  webhook: null,
  priority: 'normal',
  ttlSeconds: 3600,
  timeoutSeconds: null,
  places: null,
  metadata: { ref: '9912' },
});

/** What is asked of one document, as the API writes it. */
export function newTask(): Task {
  return { ...template, document: { ...template.document, key: `2026/11/${newId('job')}.png` } };
}

/** What a model that costs nothing leaves of a document's reading: it takes its time, and the loop turns twice. */
export async function readNothing({ jobMs, step }: { jobMs: number; step: () => void }): Promise<void> {
  await (jobMs > 0 ? delay(jobMs) : setImmediate());
  step();
  await setImmediate();
}
