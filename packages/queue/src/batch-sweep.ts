import { isFinal, statusSchema } from '@glyphmill/contract/job';
import { batchJobIds } from './batch-job-id.ts';
import type { BatchRecord } from './batch-record.ts';
import { type CancelContext, cancelJob } from './cancel.ts';
import { retryJob } from './retry.ts';

/** Jobs dealt with side by side. */
export const sweepSize = 100;

/** Cancels, or tries again, those of the batch's jobs at these places that are to be. */
export async function sweepJobs(
  context: CancelContext,
  { id, tenant, work }: Pick<BatchRecord, 'id' | 'tenant' | 'work'>,
  places: { from: number; to: number },
): Promise<void> {
  const { redis, keys } = context;
  const ids = batchJobIds(id, places);
  const pipeline = redis.pipeline();
  for (const jobId of ids) pipeline.hget(keys.record(jobId), 'status');
  const answers = ((await pipeline.exec()) ?? []).map(([error, status]) => {
    if (error) throw error;
    return statusSchema.safeParse(status).data;
  });
  await Promise.all(
    ids.map(async (jobId, position) => {
      const status = answers[position];
      if (status === undefined) return;
      if (work === 'cancel' && !isFinal(status)) await cancelJob(context, { tenant, jobId });
      if (work === 'retry' && (status === 'failed' || status === 'expired')) {
        await retryJob(redis, keys, { tenant, jobId });
      }
    }),
  );
}
