import assert from 'node:assert/strict';
import { until } from '../integration/queue-setup.ts';
import type { FaultSystem } from './system.ts';

/** What BullMQ multiplies a time in milliseconds with to make it a score. */
const scoresPerMs = 0x1000;

/**
 * Waits until the delivery of this job's event is put off, and lets that time pass, in which something else may
 * happen. Fails where the wait is not one between the two given.
 */
export async function passWait(
  { redis: { client }, keys }: FaultSystem,
  jobId: string,
  { fromMs, toMs }: { fromMs: number; toMs: number },
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const queue = `${keys.prefix}:deliveries`;
  const found = await until(
    `the delivery of ${jobId} is put off`,
    async () => {
      const entries = await client.zrange(`${queue}:delayed`, '0', '-1', 'WITHSCORES');
      for (let index = 0; index < entries.length; index += 2) {
        const [id = '', score] = entries.slice(index, index + 2);
        const data = await client.hget(`${queue}:${id}`, 'data');
        const waitMs = Number(score) / scoresPerMs - Date.now();
        // One whose wait has been passed may still be on its way out.
        if (waitMs > 0 && data?.includes(jobId)) return { id, waitMs };
      }
      return undefined;
    },
    30_000,
  );
  const { id, waitMs } = found;
  assert.ok(
    waitMs >= fromMs - 1500 && waitMs <= toMs,
    `the next attempt comes in ${Math.round(waitMs)} ms, not ${fromMs} to ${toMs}`,
  );
  await meanwhile();
  // As though its time had come, and the worker, who sleeps until then, had been woken.
  await client.multi().zadd(`${queue}:delayed`, 'XX', 0, id).zadd(`${queue}:marker`, 0, '0').exec();
}
