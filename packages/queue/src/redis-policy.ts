import { connectProducer, type Redis, ready } from './connection.ts';
import { RedisPolicyError } from './errors.ts';

/**
 * Checks that this Redis keeps what it accepts, and tells what it may lose. Throws RedisPolicyError when it
 * may evict jobs, and closes the connection then.
 */
export async function requireKeepingRedis(redis: Redis, onWarning: (warning: string) => void): Promise<void> {
  try {
    const { problem, warnings } = await report(redis);
    if (problem !== undefined) throw new RedisPolicyError(problem);
    for (const warning of warnings) onWarning(warning);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

/** What a Redis is, and how it keeps what it accepts. */
export interface RedisReport {
  /** As it names itself, for example "redis 7.0.15". */
  version: string;
  /** Its maxmemory-policy. */
  policy: string;
  /** Why no job may be entrusted to it, and what to change. */
  problem: string | undefined;
  warnings: string[];
}

/** How long `inspectRedis` waits for a connection. */
const inspectDeadlineMs = 3000;

/** Connects, reads what the server says of itself, and leaves. Throws where it does not answer within 3 s. */
export async function inspectRedis(url: string): Promise<RedisReport> {
  // Why a connection failed is in what `ready` throws.
  const redis = connectProducer(url, () => {});
  try {
    await ready(redis, inspectDeadlineMs);
    return await report(redis);
  } finally {
    redis.disconnect();
  }
}

/** Reads INFO, which managed services allow where they forbid CONFIG. */
async function report(redis: Redis): Promise<RedisReport> {
  const info = await redis.info();
  const policy = field(info, 'maxmemory_policy') ?? 'unknown';
  const warnings: string[] = [];
  if (field(info, 'aof_enabled') !== '1') {
    warnings.push(
      'Redis keeps no append-only file, so that a crash loses accepted jobs; set appendonly yes.',
    );
  }
  if (field(info, 'maxmemory') === '0') {
    warnings.push('Redis has no maxmemory, so that a full queue can use up the host; set maxmemory.');
  }
  return {
    version: `${field(info, 'server_name') ?? 'redis'} ${field(info, 'valkey_version') ?? field(info, 'redis_version') ?? 'of unknown version'}`,
    policy,
    problem:
      policy === 'noeviction'
        ? undefined
        : `Redis has maxmemory-policy "${policy}" and may throw jobs away; set maxmemory-policy noeviction.`,
    warnings,
  };
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
