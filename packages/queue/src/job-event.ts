import type { OutboxEvent } from '@glyphmill/contract/delivery';
import type { JobEvent } from '@glyphmill/contract/event';
import type { Failure } from '@glyphmill/contract/failure';
import type { Task } from '@glyphmill/contract/message';

/** How a job ended. */
export interface JobEnd {
  jobId: string;
  tenant: string;
  /** Null when what the record holds of it cannot be read. */
  task: Task | null;
  status: JobEvent['data']['status'];
  /** Null when it is not known how many were read. */
  pages: number | null;
  failure: Failure | null;
}

/**
 * The event of a job's end, for the outbox; undefined when the job's own choice of events leaves it out. With
 * no `url` only the tenant's endpoints can want it: without any, it need not be written.
 */
export function jobEvent(
  end: JobEnd,
  { eventId, nowMs }: { eventId: string; nowMs: number },
): OutboxEvent | undefined {
  const { jobId, tenant, task, status, pages, failure } = end;
  const type = `job.${status}` as const;
  const webhook = task?.webhook ?? null;
  if (webhook !== null && webhook.events?.includes(type) === false) return undefined;
  const event: JobEvent = {
    type,
    timestamp: new Date(nowMs).toISOString(),
    data: {
      jobId,
      status,
      metadata: task?.metadata ?? {},
      pages,
      result: status === 'succeeded' || status === 'partial' ? `/v1/jobs/${jobId}/result` : null,
      error: failure,
    },
  };
  const url = webhook !== null && 'url' in webhook ? webhook.url : null;
  const endpointIds = webhook !== null && 'endpointIds' in webhook ? webhook.endpointIds : null;
  const { traceparent = null } = task ?? {};
  return {
    id: eventId,
    tenant,
    type,
    body: JSON.stringify(event),
    url,
    endpointIds,
    ...(traceparent !== null && { traceparent }),
  };
}
