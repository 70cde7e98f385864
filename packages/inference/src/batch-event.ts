import type { ServedModel } from '@glyphmill/contract/result';
import type { Batch, Trigger } from '@glyphmill/core/batcher';
import type { DoneMessage } from './instance-messages.ts';
import type { ModelErrorCode } from './model-error.ts';

/** How an item ended, for metrics; a reading, the caller's abort, or what it failed with. */
export interface ItemEvent {
  model: string;
  version: string;
  outcome: 'done' | 'canceled' | ModelErrorCode;
}

/** One micro-batch that was run, for metrics. */
export interface BatchEvent {
  model: string;
  version: string;
  provider: 'cpu' | 'cuda';
  instance: number;
  id: string;
  /** The batch key without model and version: the width of the bucket, or the size of the pages. */
  key: string;
  /** Items. */
  size: number;
  /** Whose items they are, each once; of items that name nobody there is none. */
  owners: readonly string[];
  /** Of max_batch_size, 0..1. */
  fill: number;
  trigger: Trigger;
  outcome: 'done' | 'model-error' | 'instance-lost';
  /** From being queued to the start of this micro-batch, for each item. */
  queueDelaySeconds: readonly number[];
  /** Waiting for a free core. */
  gateSeconds: number;
  /** All of the run as the parent saw it, the pipe included. */
  runSeconds: number;
  /** Measured in the instance; 0 unless the outcome is done. */
  packSeconds: number;
  inferSeconds: number;
  postSeconds: number;
}

/** A micro-batch as one of its items saw it. */
export type Ride = Pick<BatchEvent, 'id' | 'size' | 'fill' | 'trigger' | 'runSeconds'> & {
  /** This item's. */
  queueDelaySeconds: number;
};

/** The rides of the items of a micro-batch, in their order. */
export function ridesOf({ id, size, fill, trigger, runSeconds, queueDelaySeconds }: BatchEvent): Ride[] {
  return queueDelaySeconds.map((delay) => ({
    ...{ id, size, fill, trigger, runSeconds },
    queueDelaySeconds: delay,
  }));
}

/** Times on the clock of `batch`: taken by an instance, given a core, ended. */
export function toBatchEvent(run: {
  id: string;
  model: ServedModel;
  maxBatchSize: number;
  batch: Batch<{ key: string; owner: string | undefined }>;
  startedUs: number;
  runUs: number;
  endUs: number;
  outcome: BatchEvent['outcome'];
  done: DoneMessage | undefined;
}): BatchEvent {
  const { id, model, batch, outcome, done } = run;
  return {
    model: model.name,
    version: model.version,
    provider: model.provider,
    instance: batch.instance,
    id,
    key: batch.items[0]?.value.key ?? batch.key,
    size: batch.items.length,
    owners: [...new Set(batch.items.flatMap(({ value }) => value.owner ?? []))],
    fill: batch.size / Math.max(1, run.maxBatchSize),
    trigger: batch.trigger,
    outcome,
    queueDelaySeconds: batch.enqueuedUs.map((atUs) => (run.runUs - atUs) / 1e6),
    gateSeconds: (run.runUs - run.startedUs) / 1e6,
    runSeconds: (run.endUs - run.runUs) / 1e6,
    packSeconds: done?.packSeconds ?? 0,
    inferSeconds: done?.inferSeconds ?? 0,
    postSeconds: done?.postSeconds ?? 0,
  };
}
