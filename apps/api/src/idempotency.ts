import { createHash } from 'node:crypto';
import { JobFailure } from '@glyphmill/contract/failure';
import { IdempotencyConflict, isRefusal } from '@glyphmill/queue/errors';
import type { IdempotencyKey } from '@glyphmill/queue/idempotency';
import type { JobStore } from '@glyphmill/queue/job-store';
import type { FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

// The Idempotency-Key header of draft-ietf-httpapi-idempotency-key-header-07: sent again with the same request it gives
// the job, or the batch, of the first one.

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

export interface Wanted {
  tenant: string;
  /** What is submitted will have this id. */
  id: string;
  key: IdempotencyKey | undefined;
}

/** Submits something; with a key that has done so already it finds what was submitted the first time instead. */
export async function submitOnce<T>(
  jobs: Pick<JobStore, 'reserveKey' | 'forgetKey'>,
  { tenant, id, key }: Wanted,
  { submit, find }: { submit: () => Promise<T>; find: (firstId: string) => Promise<T | undefined> },
): Promise<{ submitted: T; isReplay: boolean }> {
  if (key === undefined) return { submitted: await submit(), isReplay: false };
  const reservation = await jobs.reserveKey({ tenant, id, key });
  switch (reservation.kind) {
    case 'done': {
      const submitted = await find(reservation.id);
      if (submitted === undefined) throw expired();
      return { submitted, isReplay: true };
    }
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
    return { submitted: await submit(), isReplay: false };
  } catch (error) {
    // After any other error it may have been accepted after all: then the key must go on standing for it.
    if (isDecided(error)) await jobs.forgetKey({ tenant, id, key }).catch(() => {});
    throw error;
  }
}

function isDecided(error: unknown): boolean {
  return isRefusal(error) || error instanceof Problem || error instanceof JobFailure;
}

function expired(): Problem {
  return new Problem('not-found', {
    detail: 'What this Idempotency-Key submitted has expired; use a new key to submit it again.',
  });
}
