import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttemptReport } from '@glyphmill/queue/job-run';
import { createWorkerMetrics } from 'glyphmill-worker/metrics';
import { newJob } from '../integration/queue-setup.ts';

/** Of a job that was submitted 90 seconds ago. */
function report(end: Pick<AttemptReport, 'ended' | 'failure'>): AttemptReport {
  const life = { number: 1, crashes: 0, createdAtMs: Date.now() - 90_000, deadlineMs: null, token: 'att_1' };
  const { id: jobId, tenant, task } = newJob();
  return { attempt: { jobId, tenant, task, ...life }, durationMs: 2000, ...end };
}

test('a job is timed from its submission, once, at its end; a failed one is a dead letter by its reason', async () => {
  const metrics = createWorkerMetrics({
    documentsInFlight: () => 0,
    bytesInFlight: () => 0,
    linesWaiting: () => 0,
    instances: () => [],
    models: () => [],
    problems: () => [],
  });
  const failure = { code: 'worker-lost', message: 'no', retryable: false, phase: 'queue' } as const;
  for (const ended of ['retried', 'handed-back', 'void', 'succeeded'] as const)
    metrics.onAttempt(report({ ended }));
  metrics.onAttempt(report({ ended: 'failed', failure }));

  const text = await metrics.registry.metrics();
  const value = (sample: string) => Number(text.split(`\n${sample} `)[1]?.split('\n')[0] ?? Number.NaN);
  const duration = 'ocr_job_duration_seconds';
  assert.equal(value(`${duration}_count{outcome="succeeded"}`), 1);
  assert.equal(value(`${duration}_count{outcome="failed"}`), 1);
  assert.equal(value(`${duration}_count{outcome="canceled"}`), 0, 'shown before it happens');
  assert.ok(value(`${duration}_sum{outcome="succeeded"}`) >= 90);
  assert.doesNotMatch(text, /ocr_job_duration_seconds_count\{outcome="(retried|handed-back|void)"\}/);
  assert.equal(value('ocr_dead_letters_total{reason="worker-lost"}'), 1);
  assert.equal(value('ocr_dead_letters_total{reason="internal"}'), 0, 'shown before it happens');
  assert.equal(value('ocr_attempt_duration_seconds_sum{outcome="succeeded"}'), 2);
});
