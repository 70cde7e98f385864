import { Batcher, type DropReason, type Trigger } from './batcher.ts';
import { playTrace } from './simulate-clock.ts';
import type { Trace, TraceId } from './simulate-trace.ts';

/** What became of a trace, in the order in which it happened. Times in µs. */
export interface Outcome {
  name: string;
  batches: { t: number; size: number; ids: TraceId[] }[];
  dropped: { id: TraceId; t: number; why: TraceDrop }[];
}

export type TraceDrop = 'TIMEOUT' | 'QUEUE_FULL' | 'CANCELLED';

/** One batch with what explains it; `waitsUs` says for each id how long it waited. */
export interface TracedBatch {
  t: number;
  size: number;
  ids: TraceId[];
  key: string;
  trigger: Trigger;
  instance: number;
  doneUs: number;
  waitsUs: number[];
}

/** An outcome with its reasons: what renderTimeline() shows. */
export interface TraceRun {
  name: string;
  note: string;
  maxBatchSize: number;
  maxQueueDelayUs: number;
  instances: number;
  endUs: number;
  batches: TracedBatch[];
  dropped: Outcome['dropped'];
}

const DROP_NAMES: Record<DropReason, TraceDrop> = {
  timeout: 'TIMEOUT',
  'queue-full': 'QUEUE_FULL',
  canceled: 'CANCELLED',
};

/** Runs a trace under a virtual clock. Throws BatcherOptionsError or BatcherUsageError. */
export function simulate(trace: Trace): Outcome {
  const { name, batches, dropped } = runTrace(trace);
  return { name, batches: batches.map(({ t, size, ids }) => ({ t, size, ids })), dropped };
}

/** As simulate(), with what explains each batch. */
export function runTrace(trace: Trace): TraceRun {
  const { options, svc } = trace;
  const run: TraceRun = {
    name: trace.name,
    note: trace.note,
    maxBatchSize: Math.max(1, options.maxBatchSize),
    maxQueueDelayUs: options.maxQueueDelayUs,
    instances: options.instances,
    endUs: 0,
    batches: [],
    dropped: [],
  };
  run.endUs = playTrace<TraceId>({
    batcher: new Batcher(options),
    arrivals: inOrder(
      trace.arrivals.map(({ id, t, batch, priority, timeoutUs, shape }) => ({
        atUs: t,
        item: {
          id: String(id),
          value: id,
          key: trace.enforceEqualShape ? String(shape) : 'any',
          weight: batch,
          priority,
          timeoutUs,
        },
      })),
    ),
    cancels: inOrder(trace.cancels.map(({ id, t }) => ({ atUs: t, id: String(id) }))),
    serviceUs: ({ size }) => svc[0] + svc[1] * size,
    onStart: ({ startedUs, size, items, key, trigger, instance, enqueuedUs }, doneUs) => {
      run.batches.push({
        t: startedUs,
        size,
        ids: items.map(({ value }) => value),
        key,
        trigger,
        instance,
        doneUs,
        waitsUs: enqueuedUs.map((atUs) => startedUs - atUs),
      });
    },
    onDrop: ({ value }, why, atUs) => {
      run.dropped.push({ id: value, t: atUs, why: DROP_NAMES[why] });
    },
  });
  return run;
}

function inOrder<E extends { atUs: number }>(events: E[]): E[] {
  return events.sort((a, b) => a.atUs - b.atUs);
}
