import type { Redis } from './connection.ts';
import { QueueFull } from './errors.ts';

export interface Admission {
  /** Throws QueueFull while Redis's memory is nearly used up. */
  check(): Promise<void>;
  /** The refusal when too many jobs wait. */
  full(maxWaiting: number): QueueFull;
}

/**
 * At maxmemory BullMQ's own scripts fail and workers spin, so the door closes before that. Above this
 * share of maxmemory nothing more is accepted.
 */
const memoryShare = 0.8;
const memoryCheckMs = 1000;
const retryAfterSeconds = 10;

export function openAdmission(redis: Redis): Admission {
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  let share = 0;
  return {
    async check() {
      const nowMs = performance.now();
      if (nowMs - checkedAtMs > memoryCheckMs) {
        share = memoryUsed(await redis.info('memory'));
        checkedAtMs = nowMs;
      }
      if (share < memoryShare) return;
      const message = `Redis uses ${Math.round(share * 100)} % of its memory; try again when jobs have ended.`;
      throw new QueueFull({ reason: 'memory', retryAfterSeconds, message });
    },
    full(maxWaiting) {
      const message = `${maxWaiting} jobs wait already, which is the most that may; try again later.`;
      return new QueueFull({ reason: 'depth', retryAfterSeconds, message });
    },
  };
}

/** Share of maxmemory in use, by the answer to INFO; 0 where there is no maximum. */
function memoryUsed(info: string): number {
  const number = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const maximum = number('maxmemory');
  return maximum === 0 ? 0 : number('used_memory') / maximum;
}
