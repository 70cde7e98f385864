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
    source: task.inline === null ? { type: 's3', ...task.document } : { type: 'inline', ...task.inline },
    mode: task.mode,
    model: task.model,
    modelVersion: task.modelVersion,
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

/** A strong validator (RFC 9110, section 8.8.3): equal exactly when the job looks the same. */
export function etagOf(job: Job): string {
  return `"${createHash('sha256').update(JSON.stringify(job)).digest('base64url').slice(0, 22)}"`;
}

/** Whether an If-None-Match header has this validator. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const wanted = header.split(',').map((entry) => entry.trim().replace(/^W\//, ''));
  return wanted.includes(etag) || wanted.includes('*');
}

const pollSecondsMax = 15;

/** Seconds until it is worth asking again: a quarter of the job's age so far; undefined once it has ended. */
export function pollAfterSeconds(record: JobRecord, nowMs: number): number | undefined {
  if (isFinal(record.status)) return undefined;
  const ageSeconds = (nowMs - record.createdAtMs) / 1000;
  return Math.min(pollSecondsMax, Math.max(1, Math.round(ageSeconds / 4)));
}

function timeOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
