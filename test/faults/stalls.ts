import type { FaultSystem } from './system.ts';

/** Those of the jobs that BullMQ ever took for lost with their worker. */
export async function stalledAmong(
  { redis: { client }, keys }: FaultSystem,
  ids: readonly string[],
): Promise<string[]> {
  const stalls = await Promise.all(
    ids.map(async (id) => ({ id, count: await client.hget(`${keys.prefix}:documents:${id}`, 'stc') })),
  );
  return stalls.filter(({ count }) => count !== null).map(({ id }) => id);
}
