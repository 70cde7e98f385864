import { connectProducer, type Redis, ready } from './connection.ts';
import { RedisPolicyError } from './errors.ts';

/**
 * Checks that this Redis keeps what it accepts, and tells what it may lose; resolves with what was told. Throws
 * RedisPolicyError when it may evict jobs, and closes the connection then.
 */
export async function requireKeepingRedis(
  redis: Redis,
  onWarning: (warning: string) => void,
): Promise<string[]> {
  try {
    const memory = await redis.info('memory');
    const problem = problemOf(policyOf(memory));
    if (problem !== undefined) throw new RedisPolicyError(problem);
    const warnings = await findWarnings(redis, memory);
    for (const warning of warnings) onWarning(warning);
    return warnings;
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

/** Knows whether this Redis still keeps what it accepts: an operator may change that while it runs. */
export interface PolicyWatch {
  /** Takes in an answer to INFO memory that somebody has asked for anyway. */
  see(memory: string): void;
  /** Throws RedisPolicyError while it may evict jobs. */
  expectKeeping(): void;
  close(): void;
}

const lookEveryMs = 30_000;

/**
 * Looks by itself every half minute; tells once of each change. With `known`, what `requireKeepingRedis` has told, also
 * of what Redis has come to lose since: it may have been started anew with other settings.
 */
export function watchPolicy(
  redis: Redis,
  options: { onWarning: (warning: string) => void; known?: readonly string[]; everyMs?: number },
): PolicyWatch {
  const { onWarning, everyMs = lookEveryMs } = options;
  let { known } = options;
  let problem: string | undefined;
  const see = (memory: string) => {
    const now = problemOf(policyOf(memory));
    if (now !== problem) onWarning(now ?? 'Redis keeps what it accepts again.');
    problem = now;
  };
  async function look(): Promise<void> {
    const memory = await redis.info('memory');
    see(memory);
    if (known === undefined) return;
    const warnings = await findWarnings(redis, memory);
    for (const warning of warnings) if (!known.includes(warning)) onWarning(warning);
    known = warnings;
  }
  const timer = setInterval(() => {
    // While the connection is away, that is the trouble, and known elsewhere.
    look().catch(() => {});
  }, everyMs);
  return {
    see,
    expectKeeping() {
      if (problem !== undefined) throw new RedisPolicyError(problem);
    },
    close: () => clearInterval(timer),
  };
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
    const memory = await redis.info('memory');
    const policy = policyOf(memory);
    const warnings = await findWarnings(redis, memory);
    return { version: versionOf(await redis.info('server')), policy, problem: problemOf(policy), warnings };
  } finally {
    redis.disconnect();
  }
}

/** Of INFO, which managed services allow where they forbid CONFIG. */
function policyOf(memory: string): string {
  return field(memory, 'maxmemory_policy') ?? 'unknown';
}

function problemOf(policy: string): string | undefined {
  if (policy === 'noeviction') return undefined;
  return `Redis has maxmemory-policy "${policy}" and may throw jobs away; set maxmemory-policy noeviction.`;
}

async function findWarnings(redis: Redis, memory: string): Promise<string[]> {
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

/** Valkey gives its own version beside that of the Redis it is compatible with. */
function versionOf(server: string): string {
  const version = field(server, 'valkey_version') ?? field(server, 'redis_version') ?? 'of unknown version';
  return `${field(server, 'server_name') ?? 'redis'} ${version}`;
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
