import { createHash } from 'node:crypto';
import { isFinal, type Job } from '@glyphmill/contract/job';
import type { JobRecord } from '@glyphmill/queue/job-record';

/** A job as callers see it; `baseUrl` '' makes its links relative. */
export function toJob(record: JobRecord, baseUrl: string): Job {
  const { id, task, status } = record;
  return {
    object: 'job',
    id,
    status,
    createdAt: new Date(record.createdAtMs).toISOString(),
    startedAt: timeOrNull(record.startedAtMs),
    finishedAt: timeOrNull(record.finishedAtMs),
    expiresAt: timeOrNull(record.expiresAtMs),
    source: toSource(task),
    mode: task.mode,
    model: task.model,
    modelVersion: task.modelVersion,
    batchId: record.batch?.id ?? null,
    batchIndex: record.batch?.index ?? null,
    priority: task.priority,
    deadline: timeOrNull(record.deadlineMs),
    attempt: record.attempt,
    progress: record.progress,
    error: record.failure,
    warnings: record.warnings,
    cache: record.usage?.cache ?? null,
    usage: record.usage,
    timings: record.timings,
    metadata: task.metadata,
    links: {
      self: `${baseUrl}/v1/jobs/${id}`,
      result: `${baseUrl}/v1/jobs/${id}/result`,
      pages: `${baseUrl}/v1/jobs/${id}/pages`,
      events: `${baseUrl}/v1/jobs/${id}/events`,
      cancel: `${baseUrl}/v1/jobs/${id}/cancel`,
    },
  };
}

function toSource({ document, inline }: JobRecord['task']): Job['source'] {
  if (inline === null) return { type: 's3', ...document };
  const { uploadId, ...facts } = inline;
  return uploadId === undefined ? { type: 'inline', ...facts } : { type: 'upload', uploadId, ...facts };
}

/** A strong validator (RFC 9110, section 8.8.3): equal exactly when what is shown looks the same. */
export function etagOf(shown: object): string {
  return `"${createHash('sha256').update(JSON.stringify(shown)).digest('base64url').slice(0, 22)}"`;
}

/** Whether an If-None-Match header has this validator. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const wanted = header.split(',').map((entry) => entry.trim().replace(/^W\//, ''));
  return wanted.includes(etag) || wanted.includes('*');
}

const pollSecondsMax = 15;

/** Seconds until it is worth asking again; undefined once the job has ended. */
export function pollAfterSeconds(record: JobRecord, nowMs: number): number | undefined {
  return isFinal(record.status) ? undefined : patienceSeconds(record, nowMs);
}

/** A quarter of the age so far of what has not ended yet. */
export function patienceSeconds({ createdAtMs }: { createdAtMs: number }, nowMs: number): number {
  const ageSeconds = (nowMs - createdAtMs) / 1000;
  return Math.min(pollSecondsMax, Math.max(1, Math.round(ageSeconds / 4)));
}

export function timeOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
