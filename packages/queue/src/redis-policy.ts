import type { Redis } from './connection.ts';
import { RedisPolicyError } from './errors.ts';

/**
 * Checks that this Redis keeps what it accepts, and tells what it may lose. Throws RedisPolicyError when it
 * may evict jobs, and closes the connection then.
 */
export async function requireKeepingRedis(redis: Redis, onWarning: (warning: string) => void): Promise<void> {
  try {
    for (const warning of await findWarnings(redis)) onWarning(warning);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

/** Reads INFO, which managed services allow where they forbid CONFIG. */
async function findWarnings(redis: Redis): Promise<string[]> {
  const memory = await redis.info('memory');
  const policy = field(memory, 'maxmemory_policy') ?? 'unknown';
  if (policy !== 'noeviction') {
    throw new RedisPolicyError(
      `Redis has maxmemory-policy "${policy}" and may throw jobs away; set maxmemory-policy noeviction.`,
    );
  }
  const warnings: string[] = [];
  if (field(await redis.info('persistence'), 'aof_enabled') !== '1') {
    warnings.push(
      'Redis keeps no append-only file, so that a crash loses accepted jobs; set appendonly yes.',
    );
  }
  if (field(memory, 'maxmemory') === '0') {
    warnings.push('Redis has no maxmemory, so that a full queue can use up the host; set maxmemory.');
  }
  return warnings;
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
