import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

export const scopeSchema = z.enum(['jobs:write', 'jobs:read', 'webhooks:admin', 'scaling:read', 'admin']);
export type Scope = z.infer<typeof scopeSchema>;

/** What is kept of an API key: never the key itself, only its digest. */
const apiKeyEntrySchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9]{8,32}$/),
  tenant: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'expected a tenant of a–z, 0–9 and "-"'),
  scopes: z.array(scopeSchema).min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits'),
  buckets: z
    .array(z.strictObject({ bucket: z.string().min(1), prefix: z.string().optional() }))
    .min(1)
    .optional()
    .describe('The only places this key may name as a source; absent means every bucket.'),
});
export type ApiKeyEntry = z.infer<typeof apiKeyEntrySchema>;

/** The file of API keys: ids are unique. */
export const apiKeyFileSchema = z
  .array(apiKeyEntrySchema)
  .refine((entries) => new Set(entries.map(({ id }) => id)).size === entries.length, 'expected unique ids');

const keyPattern = /^gm_([a-z0-9]{8,32})_[A-Za-z0-9_-]{32,128}$/;
const idBytes = 6;
const secretBytes = 32;

/** A new key, `gm_<id>_<secret>`, shown once, and the entry that recognises it. */
export function newApiKey(options: { tenant: string; scopes: Scope[]; buckets?: ApiKeyEntry['buckets'] }): {
  key: string;
  entry: ApiKeyEntry;
} {
  const id = randomBytes(idBytes).toString('hex');
  const key = `gm_${id}_${randomBytes(secretBytes).toString('base64url')}`;
  const { tenant, scopes, buckets } = options;
  const entry = { id, tenant, scopes, sha256: digest(key).toString('hex') };
  return { key, entry: apiKeyEntrySchema.parse(buckets === undefined ? entry : { ...entry, buckets }) };
}

/**
 * The entry that `key` belongs to. An unknown id costs the same as a wrong secret, so that the time taken
 * tells nobody which ids exist. A digest without salt or stretching is enough for 256 random bits.
 */
export function findApiKey(entries: ReadonlyMap<string, ApiKeyEntry>, key: string): ApiKeyEntry | undefined {
  const id = keyPattern.exec(key)?.[1];
  const entry = id === undefined ? undefined : entries.get(id);
  const expected = entry === undefined ? noDigest : Buffer.from(entry.sha256, 'hex');
  const matches = timingSafeEqual(digest(key), expected);
  return matches ? entry : undefined;
}

/** Whether a key with these scopes may do what needs `scope`. */
export function hasScope(scopes: readonly Scope[], scope: Scope): boolean {
  return scopes.includes(scope) || scopes.includes('admin');
}

const noDigest = Buffer.alloc(32);

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
