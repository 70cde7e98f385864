import { createHash } from 'node:crypto';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';
import { answerList, loadScript } from './script.ts';

/** A caller's Idempotency-Key and what it was sent with. */
export interface IdempotencyKey {
  value: string;
  /** Digest of the request: the same key with another request is refused. */
  fingerprint: string;
}

export type Reservation =
  /** This request submits what it asks for. */
  | { kind: 'reserved' }
  /** An earlier request submitted it. */
  | { kind: 'done'; id: string }
  /** An earlier request is at it. */
  | { kind: 'pending' }
  /** The key came with another request before. */
  | { kind: 'reused' };

/** A request that has submitted nothing after this long is taken for dead; longer than storing a document may take. */
const reservationMs = 30_000;
export const idempotencyLifetimeMs = 86_400_000;

const reserveScript = loadScript('reserve');
const forgetScript = loadScript('forget');

/** Keys are the callers' and may be anything: only their digests become part of a name. */
export function idempotencyRecord(keys: Keys, tenant: string, { value }: IdempotencyKey): string {
  return keys.idempotency(tenant, createHash('sha256').update(value).digest('base64url'));
}

export async function reserveKey(
  redis: Redis,
  keys: Keys,
  { tenant, id, key }: { tenant: string; id: string; key: IdempotencyKey },
): Promise<Reservation> {
  const answer = await reserveScript.run(redis, keys, {
    keys: [idempotencyRecord(keys, tenant, key)],
    args: [key.fingerprint, id, reservationMs],
  });
  const [kind, doneBy = ''] = answerList(answer);
  if (kind === 'done') return { kind, id: doneBy };
  if (kind === 'reserved' || kind === 'pending' || kind === 'reused') return { kind };
  throw new Error(`unexpected answer of the reserve script: ${kind}`);
}

/** Lets the key be used at once by the next try, after this one was refused. */
export async function forgetKey(
  redis: Redis,
  keys: Keys,
  { tenant, id, key }: { tenant: string; id: string; key: IdempotencyKey },
): Promise<void> {
  await forgetScript.run(redis, keys, { keys: [idempotencyRecord(keys, tenant, key)], args: [id] });
}
