import type { Batch, Rejection } from '@glyphmill/contract/batch';
import type { BatchSource } from '@glyphmill/contract/batch-plan';
import { type BatchRecord, batchStatusOf, openJobs } from '@glyphmill/queue/batch-record';
import { timeOrNull } from './job-view.ts';

/** A batch as callers see it in a list; `baseUrl` '' makes its links relative. */
export function toBatchSummary(batch: BatchRecord, baseUrl: string): Omit<Batch, 'rejected'> {
  const { id, plan, counts } = batch;
  const { mode, model, priority, metadata } = plan.task;
  const self = `${baseUrl}/v1/batches/${id}`;
  const jobCount = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    object: 'batch',
    id,
    status: batchStatusOf(batch),
    createdAt: new Date(batch.createdAtMs).toISOString(),
    finishedAt: timeOrNull(batch.finishedAtMs),
    expiresAt: timeOrNull(batch.expiresAtMs),
    source: shownSource(plan.source),
    mode,
    model,
    priority: priority === 'low' ? 'low' : 'normal',
    deadline: timeOrNull(plan.deadlineMs),
    metadata,
    ingest: {
      state: batch.ingest === 'running' && batch.waitingFor !== null ? 'waiting' : batch.ingest,
      waitingFor: batch.waitingFor,
      error: batch.error,
      indexed: batch.index,
    },
    jobCount,
    counts,
    ...progressOf(batch, jobCount),
    rejectedCount: batch.rejectedCount,
    links: { self, items: `${self}/items`, results: `${self}/results`, cancel: `${self}/cancel` },
  };
}

export function toBatch(batch: BatchRecord, rejected: Rejection[], baseUrl: string): Batch {
  return { ...toBatchSummary(batch, baseUrl), rejected };
}

function shownSource(source: BatchSource): Batch['source'] {
  if (source.type !== 'manifest') return source;
  const { ifMatch, ...shown } = source;
  return shown;
}

function progressOf(batch: BatchRecord, jobCount: number) {
  const open = openJobs(batch);
  const isWhole = batch.ingest !== 'running';
  const percent = jobCount === 0 ? 100 : Math.floor((1000 * (jobCount - open)) / jobCount) / 10;
  const ratePerSecond = Math.round(batch.ratePerSecond * 100) / 100;
  const finishAtMs =
    isWhole && open > 0 && ratePerSecond > 0 ? Date.now() + (1000 * open) / batch.ratePerSecond : null;
  return {
    percent: isWhole ? percent : null,
    ratePerSecond,
    estimatedFinishAt: timeOrNull(finishAtMs),
  };
}
