import type { Redis } from './connection.ts';
import type { CreateAnswer, Limits } from './create.ts';
import { QueueFull, QuotaExceeded } from './errors.ts';
import { endedPerSecond } from './job-rate.ts';
import type { Keys } from './keys.ts';
import type { PolicyWatch } from './redis-policy.ts';

export interface Admission {
  /**
   * Throws QueueFull while Redis's memory is nearly used up, for bulk earlier, and RedisPolicyError when it has come to
   * be set up so that it may throw jobs away.
   */
  check(kind: 'single' | 'bulk'): Promise<void>;
  /** What to throw for a job that found no room. */
  refusal(
    answer: Extract<CreateAnswer, { kind: 'full' | 'quota' }>,
    refused: { tenant: string; limits: Limits },
  ): Promise<Error>;
}

/**
 * At maxmemory BullMQ's own scripts fail and workers spin, so the door closes before that: for jobs by the thousand
 * first, so that single ones still find room.
 */
const memoryShare = { bulk: 0.7, single: 0.8 };
const memoryCheckMs = 1000;
const memoryRetrySeconds = 10;
/** A refused caller is asked to come back when this share of what is open has ended, within these bounds. */
const clearedShare = 0.05;
const retrySeconds = { min: 1, max: 120 };

export function openAdmission(redis: Redis, keys: Keys, policy: PolicyWatch): Admission {
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  let share = 0;

  /** Until so many of the `open` jobs have ended that it is worth coming back, as fast as they did of late. */
  async function secondsUntilCleared(open: number, tenant?: string): Promise<number> {
    const perSecond = await endedPerSecond(redis, keys, { tenant, nowMs: Date.now() });
    if (perSecond === 0) return retrySeconds.max;
    const seconds = Math.ceil(Math.max(1, open * clearedShare) / perSecond);
    return Math.min(retrySeconds.max, Math.max(retrySeconds.min, seconds));
  }

  return {
    async check(kind) {
      const nowMs = performance.now();
      if (nowMs - checkedAtMs > memoryCheckMs) {
        const memory = await redis.info('memory');
        policy.see(memory);
        share = memoryUsed(memory);
        checkedAtMs = nowMs;
      }
      policy.expectKeeping();
      if (share < memoryShare[kind]) return;
      const message = `Redis uses ${Math.round(share * 100)} % of its memory; try again when jobs have ended.`;
      throw new QueueFull({ reason: 'memory', retryAfterSeconds: memoryRetrySeconds, message });
    },
    async refusal(answer, { tenant, limits }) {
      if (answer.kind === 'full') {
        const retryAfterSeconds = await secondsUntilCleared(answer.waiting);
        const message = `${answer.waiting} jobs wait already, and ${limits.maxWaiting} may; try again later.`;
        return new QueueFull({ reason: 'depth', retryAfterSeconds, message });
      }
      const { unit, usage } = answer;
      const retryAfterSeconds = await secondsUntilCleared(usage.jobs, tenant);
      const message = `Your open jobs come to ${Math.round(usage[unit])} ${unit} of ${limits.tenant[unit]} at most; wait until some have ended.`;
      return new QuotaExceeded(message, { retryAfterSeconds, unit, usage, limits: limits.tenant });
    },
  };
}

/** Share of maxmemory in use, by the answer to INFO; 0 where there is no maximum. */
function memoryUsed(info: string): number {
  const number = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const maximum = number('maxmemory');
  return maximum === 0 ? 0 : number('used_memory') / maximum;
}
