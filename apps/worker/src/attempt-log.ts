import type { AttemptReport } from '@glyphmill/queue/job-run';
import type { Logger } from '@glyphmill/service/logger';
import { traceIdOf } from '@glyphmill/service/tracing';

/** One line per attempt, at its end. */
export function logAttempt(log: Logger, report: AttemptReport): void {
  const { attempt, ended, failure, error, commit } = report;
  const fields = {
    jobId: attempt.jobId,
    tenant: attempt.tenant,
    attempt: attempt.number,
    traceId: traceIdOf(attempt.task.traceparent),
    outcome: ended,
    durationMs: Math.round(report.durationMs),
    ...(failure === undefined ? {} : { code: failure.code, phase: failure.phase, reason: failure.message }),
  };
  // What a document is to blame for is the submitter's to know; what may pass is trouble of ours or our stores'.
  if (failure?.code === 'internal') log.error({ ...fields, err: error }, 'attempt ended');
  else if (failure?.retryable) log.warn({ ...fields, err: error }, 'attempt ended');
  else if (ended === 'void') log.warn({ ...fields, state: commit }, 'attempt ended');
  else log.info(fields, 'attempt ended');
}
