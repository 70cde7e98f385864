import type { BatchEvent } from '@glyphmill/contract/batch';
import type { OutboxEvent } from '@glyphmill/contract/delivery';

/** Who is told that a batch has completed: an address, or endpoints of its tenant; with neither all of those. */
export type BatchReceiver = Pick<OutboxEvent, 'url' | 'endpointIds'>;

/** What is known of a batch's completion beforehand. */
interface BatchNotice {
  batchId: string;
  tenant: string;
  receiver: BatchReceiver;
  metadata: Record<string, string>;
}

/**
 * The entry of the outbox for a batch's completion, as the batch's record keeps it. What only that moment knows (id,
 * time, status, counts) is added by lua/batch.lua.
 */
export function batchEventTemplate({ batchId, tenant, receiver, metadata }: BatchNotice): string {
  const type: BatchEvent['type'] = 'batch.completed';
  const data: Pick<BatchEvent['data'], 'batchId' | 'metadata' | 'results'> = {
    batchId,
    metadata,
    results: `/v1/batches/${batchId}/results`,
  };
  return JSON.stringify({ tenant, ...receiver, type, data });
}
