import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ledger, Submission } from './ledger.ts';

/** Answers that mean "ask again": none at all, a request with this key still at it, and a Redis that is away. */
const passing = [0, 409, 503];
const askAgainMs = 200;

/** Submits as a careful client does, with an Idempotency-Key and as often as it takes. Resolves with the job's id. */
export async function submitUntilTaken(
  ledger: Ledger,
  job: Submission,
  { idempotencyKey, withinMs = 60_000 }: { idempotencyKey: string; withinMs?: number },
): Promise<string> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const headers = { ...job.headers, 'idempotency-key': idempotencyKey };
    const { status, id, detail } = await ledger.trySubmit({ ...job, headers });
    if (id !== undefined) return id;
    const isPassing = passing.includes(status) && performance.now() < deadlineMs;
    assert.ok(isPassing, `P4: ${job.key} is not accepted: ${status} ${detail}`);
    await delay(askAgainMs);
  }
}
