import type { Delivery } from '@glyphmill/contract/delivery';
import type { Redis } from './connection.ts';
import { readEndpoint } from './endpoint-record.ts';
import type { Keys } from './keys.ts';

/** Where a delivery goes, and who signs it, at the moment of an attempt. */
export interface Target {
  url: string;
  /** Null for an address that a job named itself: the tenant's derived secret signs. */
  endpoint: { id: string; sealedSecrets: string[] } | null;
}

export type FoundTarget =
  | { kind: 'target'; target: Target }
  /** It has been delivered: by a redelivery meanwhile, or before its sender died. */
  | { kind: 'settled' }
  | { kind: 'none'; reason: string };

/** Asked before each attempt, so that what waits heeds a new address, a new secret, or the endpoint's end. */
export async function findTarget(
  redis: Redis,
  keys: Keys,
  { id, target }: Pick<Delivery, 'id' | 'target'>,
): Promise<FoundTarget> {
  if (target.kind === 'url') return { kind: 'target', target: { url: target.url, endpoint: null } };
  const [endpoint, status] = await Promise.all([
    readEndpoint(redis, keys, target.endpointId),
    redis.hget(keys.delivery(id), 'status'),
  ]);
  if (status === 'delivered') return { kind: 'settled' };
  if (endpoint === undefined) return { kind: 'none', reason: 'the endpoint was deleted' };
  if (!endpoint.enabled) return { kind: 'none', reason: 'the endpoint is disabled' };
  const { url, sealedSecret, previous } = endpoint;
  const sealedSecrets = [
    sealedSecret,
    ...(previous !== null && previous.untilMs > Date.now() ? [previous.sealedSecret] : []),
  ];
  return { kind: 'target', target: { url, endpoint: { id: endpoint.id, sealedSecrets } } };
}
