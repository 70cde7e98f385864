import type { Redis } from './connection.ts';
import type { Keys } from './keys.ts';

/** What a tenant's open jobs add up to. Pages and megapixels count from when a worker has found them in a document. */
export const quotaUnits = ['jobs', 'pages', 'megapixels'] as const;
export type QuotaUnit = (typeof quotaUnits)[number];
export type QuotaUsage = Record<QuotaUnit, number>;

export async function readUsage(redis: Redis, keys: Keys, tenant: string): Promise<QuotaUsage> {
  return toUsage(await redis.hmget(keys.usage(tenant), ...quotaUnits));
}

/** Reads the numbers in the order of the units; what is not there is 0. */
export function toUsage([jobs, pages, megapixels]: readonly (string | null)[]): QuotaUsage {
  // Redis adds up fractions, which leaves dust.
  const rounded = Math.round(Number(megapixels ?? 0) * 1000) / 1000;
  return { jobs: Number(jobs ?? 0), pages: Number(pages ?? 0), megapixels: rounded };
}
