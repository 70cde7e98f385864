import { createHash } from 'node:crypto';
import { JobFailure } from '@glyphmill/contract/failure';
import { newId } from '@glyphmill/contract/id';
import { IdempotencyConflict, isRefusal } from '@glyphmill/queue/errors';
import type { IdempotencyKey } from '@glyphmill/queue/idempotency';
import type { JobRecord } from '@glyphmill/queue/job-record';
import type { Submitted } from '@glyphmill/queue/submit';
import type { ApiKeyEntry } from '@glyphmill/service/api-key';
import type { FastifyRequest } from 'fastify';
import type { Dependencies } from './dependencies.ts';
import { Problem } from './problem.ts';
import { type Submission, submit } from './submit.ts';

// The Idempotency-Key header of draft-ietf-httpapi-idempotency-key-header-07: sent again with the same request it gives
// the job of the first one.

/** The request's key and its fingerprint. Throws the Problem of a key that cannot be used. */
export function readIdempotencyKey(request: FastifyRequest): IdempotencyKey | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return undefined;
  // The draft makes it a quoted string; many clients send it bare.
  const value = String(header).replace(/^"(.*)"$/, '$1');
  if (!/^[\x21-\x7e]{1,255}$/.test(value)) {
    throw new Problem('invalid-idempotency-key', {
      detail: 'Expected an Idempotency-Key of 1 to 255 visible ASCII characters, for example a UUID.',
    });
  }
  const fingerprint = createHash('sha256')
    .update(`${request.method} ${request.routeOptions.url}\n`)
    .update(JSON.stringify(request.body, sortedFields))
    .digest('base64url');
  return { value, fingerprint };
}

/** Objects by the order of their fields' names: what a client's JSON library happens to do is no other request. */
function sortedFields(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Submits a job; with a key that has done so already it finds the job of the first time instead. */
export async function submitOnce(
  dependencies: Dependencies,
  caller: ApiKeyEntry,
  { submission, key }: { submission: Submission; key: IdempotencyKey | undefined },
): Promise<Submitted & { isReplay: boolean }> {
  const { jobs } = dependencies;
  if (key === undefined) {
    return { ...(await submit(dependencies, caller, submission)), isReplay: false };
  }
  const { tenant } = caller;
  const id = newId('job');
  const reservation = await jobs.reserveKey({ tenant, jobId: id, key });
  switch (reservation.kind) {
    case 'done':
      return {
        record: await findFirst(dependencies, tenant, reservation.jobId),
        usage: await jobs.usage(tenant),
        isReplay: true,
      };
    case 'pending':
      throw new IdempotencyConflict(
        'in-progress',
        'A request with this Idempotency-Key is still running; ask again with the same key.',
      );
    case 'reused':
      throw new IdempotencyConflict(
        'reused',
        'This Idempotency-Key came with another request before; use a new key for each new request.',
      );
  }
  try {
    const submitted = await submit(dependencies, caller, submission, { id, idempotencyKey: key });
    return { ...submitted, isReplay: false };
  } catch (error) {
    // After any other error the job may have been accepted after all: then the key must go on standing for it.
    if (isDecided(error)) await jobs.forgetKey({ tenant, jobId: id, key }).catch(() => {});
    throw error;
  }
}

function isDecided(error: unknown): boolean {
  return isRefusal(error) || error instanceof Problem || error instanceof JobFailure;
}

async function findFirst({ jobs }: Dependencies, tenant: string, id: string): Promise<JobRecord> {
  const record = await jobs.get(tenant, id);
  if (record !== undefined) return record;
  throw new Problem('not-found', {
    detail: 'The job that this Idempotency-Key submitted has expired; use a new key to submit it again.',
  });
}
