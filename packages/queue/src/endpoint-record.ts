import { type DisabledReason, disabledReasonSchema } from '@glyphmill/contract/event';
import { z } from 'zod';
import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

/** All that Redis knows of a webhook endpoint. Times are milliseconds since 1970; secrets are sealed. */
export interface EndpointRecord {
  id: string;
  tenant: string;
  url: string;
  /** Event types it wants; null for all. */
  events: string[] | null;
  description: string;
  enabled: boolean;
  createdAtMs: number;
  disabledReason: DisabledReason | null;
  disabledAtMs: number | null;
  /** Of the first failure since the last success. */
  failingSinceMs: number | null;
  sealedSecret: string;
  /** The secret before the last rotation, and until when it signs too. */
  previous: { sealedSecret: string; untilMs: number } | null;
}

const timeField = z
  .string()
  .default('')
  .transform((text) => (text === '' ? null : Number(text)));

const hashSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  url: z.string(),
  events: z
    .string()
    .transform((text): unknown => (text === '' ? null : JSON.parse(text)))
    .pipe(z.array(z.string()).nullable()),
  description: z.string(),
  enabled: z.enum(['0', '1']).transform((text) => text === '1'),
  createdAt: z.coerce.number().int(),
  disabledReason: z
    .string()
    .default('')
    .transform((text) => (text === '' ? null : text))
    .pipe(disabledReasonSchema.nullable()),
  disabledAt: timeField,
  failingSince: timeField,
  secret: z.string(),
  previousSecret: z.string().default(''),
  previousUntil: timeField,
});

/** Undefined when there is none. Throws when its hash is damaged. */
export async function readEndpoint(
  redis: Redis,
  keys: Keys,
  id: string,
): Promise<EndpointRecord | undefined> {
  return parseEndpoint(id, await redis.hgetall(keys.endpoint(id)));
}

/** A tenant's endpoints, the oldest first. One whose hash is damaged is left out and told to `onDamage`. */
export async function readEndpoints(
  redis: Redis,
  keys: Keys,
  { tenant, onDamage }: { tenant: string; onDamage: (error: Error) => void },
): Promise<EndpointRecord[]> {
  const ids = await redis.zrange(keys.tenantEndpoints(tenant), '0', '-1');
  const hashes = await Promise.all(ids.map((id) => redis.hgetall(keys.endpoint(id))));
  return hashes.flatMap((hash, index) => {
    try {
      return parseEndpoint(ids[index] ?? '', hash) ?? [];
    } catch (error) {
      onDamage(error instanceof Error ? error : new Error(String(error)));
      return [];
    }
  });
}

function parseEndpoint(id: string, hash: Record<string, string>): EndpointRecord | undefined {
  if (hash.id === undefined) return undefined;
  const parsed = hashSchema.safeParse(hash);
  if (!parsed.success) {
    // The cause quotes no values: a record holds addresses with secrets in them.
    throw new Error(`the record of the webhook endpoint ${id} cannot be read`);
  }
  const { createdAt, disabledAt, failingSince, secret, previousSecret, previousUntil, ...fields } =
    parsed.data;
  return {
    ...fields,
    createdAtMs: createdAt,
    disabledAtMs: disabledAt,
    failingSinceMs: failingSince,
    sealedSecret: secret,
    previous:
      previousSecret === '' || previousUntil === null
        ? null
        : { sealedSecret: previousSecret, untilMs: previousUntil },
  };
}
