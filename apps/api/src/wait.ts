import { isFinal } from '@glyphmill/contract/job';
import { requestLimits } from '@glyphmill/contract/request';
import type { JobRecord } from '@glyphmill/queue/job-record';
import type { JobStore } from '@glyphmill/queue/job-store';
import type { FastifyReply } from 'fastify';

/** The job as it is when it ends, or after `timeoutMs`, or when `signal` fires; undefined once it is gone. */
export async function waitForEnd(
  jobs: Pick<JobStore, 'get' | 'waitForEnd'>,
  record: JobRecord,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<JobRecord | undefined> {
  if (isFinal(record.status) || options.timeoutMs === 0 || options.signal.aborted) return record;
  await jobs.waitForEnd(record.id, options);
  return await jobs.get(record.tenant, record.id);
}

/** Seconds that `Prefer: wait=…` (RFC 7240, section 4.3) asks for, at most what may be waited; 0 where it says nothing. */
export function preferredWaitSeconds(header: string | string[] | undefined): number {
  const preferences = [header ?? []].flat().join(',').split(',');
  const wait = preferences
    .map((text) => /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(;|$)/i.exec(text)?.[1])
    .find(Boolean);
  return Math.min(requestLimits.waitSecondsMax, Number(wait ?? 0));
}

/**
 * Fires when the caller hangs up or `closing` fires. The request's own `close` will not do: it comes when
 * the body has been read.
 */
export function untilGone(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  // Not AbortSignal.any: on Node 20 a signal that lives as long as the process keeps something of each.
  const leave = () => gone.abort();
  closing.addEventListener('abort', leave, { once: true });
  if (closing.aborted) leave();
  reply.raw.once('close', () => {
    closing.removeEventListener('abort', leave);
    leave();
  });
  return gone.signal;
}
