import type { Redis } from './connection.ts';
import type { CreateAnswer, Limits } from './create.ts';
import { QueueFull, QuotaExceeded } from './errors.ts';
import type { Keys } from './keys.ts';

export interface Admission {
  /** Throws QueueFull while Redis's memory is nearly used up; for bulk the door closes earlier. */
  check(kind: 'single' | 'bulk'): Promise<void>;
  /** What to throw for a job that found no room. */
  refusal(answer: Extract<CreateAnswer, { kind: 'full' | 'quota' }>, limits: Limits): Promise<Error>;
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
const slotMs = 10_000;
/** Slots before the present one that tell how fast jobs end. */
const slotsLookedAt = 6;

export function openAdmission(redis: Redis, keys: Keys): Admission {
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  let share = 0;

  /** Seconds until `count` more jobs have ended, as fast as they did in the last minute. */
  async function secondsUntilEnded(count: number): Promise<number> {
    const slot = Math.floor(Date.now() / slotMs);
    const names = Array.from({ length: slotsLookedAt }, (_, index) => keys.ended(slot - 1 - index));
    const ended = (await redis.mget(...names)).reduce((sum, text) => sum + Number(text ?? 0), 0);
    const perSecond = ended / ((slotsLookedAt * slotMs) / 1000);
    const seconds = perSecond === 0 ? retrySeconds.max : Math.ceil(count / perSecond);
    return Math.min(retrySeconds.max, Math.max(retrySeconds.min, seconds));
  }

  return {
    async check(kind) {
      const nowMs = performance.now();
      if (nowMs - checkedAtMs > memoryCheckMs) {
        share = memoryUsed(await redis.info('memory'));
        checkedAtMs = nowMs;
      }
      if (share < memoryShare[kind]) return;
      const message = `Redis uses ${Math.round(share * 100)} % of its memory; try again when jobs have ended.`;
      throw new QueueFull({ reason: 'memory', retryAfterSeconds: memoryRetrySeconds, message });
    },
    async refusal(answer, limits) {
      if (answer.kind === 'full') {
        const retryAfterSeconds = await secondsUntilEnded(answer.waiting * clearedShare);
        const message = `${answer.waiting} jobs wait already, and ${limits.maxWaiting} may; try again later.`;
        return new QueueFull({ reason: 'depth', retryAfterSeconds, message });
      }
      const most = limits.tenant[answer.unit];
      const retryAfterSeconds = await secondsUntilEnded(limits.tenant.jobs * clearedShare);
      const message = `Your open jobs come to ${Math.round(answer.used)} ${answer.unit} of ${most} at most; wait until some have ended.`;
      return new QuotaExceeded(message, { retryAfterSeconds });
    },
  };
}

/** Share of maxmemory in use, by the answer to INFO; 0 where there is no maximum. */
function memoryUsed(info: string): number {
  const number = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const maximum = number('maxmemory');
  return maximum === 0 ? 0 : number('used_memory') / maximum;
}
