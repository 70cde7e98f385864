import type { StageObserver } from '@glyphmill/engine/stage-observer';
import type { BatchEvent } from '@glyphmill/inference/models';
import type { Attempt } from '@glyphmill/queue/attempt';
import type { AttemptReport, Handler } from '@glyphmill/queue/job-run';
import { type OpenSpan, preciseNowMs, type Tracing } from '@glyphmill/service/tracing';

/** The spans of a worker: each attempt with its stages below the request that submitted the job, and micro-batches. */
export interface AttemptTraces {
  around(handler: Handler): Handler;
  onAttempt(report: AttemptReport): void;
  onBatch(event: BatchEvent): void;
  /** Of the pages of this attempt; undefined while tracing is off. */
  stagesOf(attempt: Attempt): StageObserver | undefined;
  /** Does a part of the attempt that is no page's. */
  inSpan<T>(attempt: Attempt, name: string, work: () => Promise<T>): Promise<T>;
}

/** Micro-batches remembered until the pages whose items they ran end: a page's last is never far behind its first. */
const maxRemembered = 2000;

interface RanBatch {
  traceparent: string | null;
  startMs: number;
  endMs: number;
  attributes: Record<string, string | number>;
}

/** A micro-batch runs items of many jobs, so it is a trace of its own that links to them, as they do to it. */
export function createAttemptTraces(tracing: Tracing): AttemptTraces {
  const open = new WeakMap<Attempt, OpenSpan>();
  const batches = new Map<string, RanBatch>();

  function beginAttempt(attempt: Attempt): OpenSpan {
    const { jobId, tenant, number, createdAtMs, task } = attempt;
    const parent = task.traceparent;
    const attributes = { 'glyphmill.job.id': jobId, 'glyphmill.tenant': tenant, 'glyphmill.attempt': number };
    // Later attempts also waited, but since when only the queue knows.
    if (number === 1) tracing.begin({ name: 'queue', parent, startMs: createdAtMs, attributes }).end();
    const span = tracing.begin({ name: 'attempt', kind: 'consumer', parent, attributes });
    open.set(attempt, span);
    return span;
  }

  const parentOf = (attempt: Attempt) => open.get(attempt)?.traceparent ?? null;

  function endStage(span: OpenSpan, microBatches: readonly string[]): void {
    for (const id of microBatches) {
      const ran = batches.get(id);
      if (ran === undefined) continue;
      const { startMs, endMs, attributes, traceparent } = ran;
      const links = traceparent === null ? [] : [traceparent];
      tracing.begin({ name: 'infer', parent: span.traceparent, startMs, attributes, links }).end({ endMs });
    }
    span.end();
  }

  return {
    around: (handler) =>
      tracing.isOn
        ? async (attempt, context) => {
            beginAttempt(attempt);
            return handler(attempt, context);
          }
        : handler,
    onAttempt({ attempt, ended, failure, commitMs }) {
      const span = open.get(attempt);
      if (span === undefined) return;
      if (commitMs !== undefined) {
        const startMs = preciseNowMs() - commitMs;
        tracing.begin({ name: 'commit', parent: span.traceparent, startMs }).end();
      }
      span.end({
        attributes: { 'glyphmill.outcome': ended },
        ...(failure !== undefined && { error: failure.code }),
      });
    },
    onBatch(event) {
      if (!tracing.isOn) return;
      const endMs = preciseNowMs();
      const startMs = endMs - event.runSeconds * 1000;
      const attributes = {
        'glyphmill.batch.id': event.id,
        'glyphmill.batch.size': event.size,
        'glyphmill.batch.fill': event.fill,
        'glyphmill.batch.trigger': event.trigger,
        'glyphmill.batch.queue_delay_seconds': Math.max(0, ...event.queueDelaySeconds),
        'glyphmill.model': event.model,
        'glyphmill.model.version': event.version,
        'glyphmill.provider': event.provider,
      };
      const span = tracing.begin({
        name: 'micro-batch',
        parent: null,
        startMs,
        attributes,
        links: event.owners,
      });
      span.end({ endMs, ...(event.outcome !== 'done' && { error: event.outcome }) });
      batches.set(event.id, { traceparent: span.traceparent, startMs, endMs, attributes });
      for (const [oldest] of batches) {
        if (batches.size <= maxRemembered) break;
        batches.delete(oldest);
      }
    },
    stagesOf(attempt) {
      if (!tracing.isOn) return undefined;
      const parent = parentOf(attempt);
      return {
        begin(name, page) {
          const span = tracing.begin({
            name,
            parent,
            ...(page !== null && { attributes: { 'glyphmill.page': page } }),
          });
          return { owner: span.traceparent, end: (microBatches = []) => endStage(span, microBatches) };
        },
      };
    },
    async inSpan(attempt, name, work) {
      if (!tracing.isOn) return work();
      const span = tracing.begin({ name, parent: parentOf(attempt) });
      try {
        return await work();
      } finally {
        span.end();
      }
    },
  };
}
