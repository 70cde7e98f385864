import type { Delivery, OutboxEvent } from '@glyphmill/contract/delivery';
import type { EndpointRecord } from './endpoint-record.ts';

/** A delivery, and the id under which the queue takes it once, however often it is put there. */
export interface QueuedDelivery {
  jobId: string;
  delivery: Delivery;
}

/** The deliveries that an event of a tenant becomes; `endpoints` are that tenant's. */
export function fanOut(event: OutboxEvent, endpoints: readonly EndpointRecord[]): QueuedDelivery[] {
  const { id: eventId, tenant, type, body, url, redelivery, traceparent } = event;
  const queued = (receiver: string, target: Delivery['target']): QueuedDelivery => {
    const id = deliveryId(eventId, receiver);
    const jobId = redelivery === undefined ? id : `${id}-${redelivery}`;
    return {
      jobId,
      delivery: {
        id,
        eventId,
        tenant,
        type,
        body,
        target,
        ...(traceparent !== undefined && { traceparent }),
      },
    };
  };
  if (url !== null) return [queued('url', { kind: 'url', url })];
  return endpoints
    .filter((endpoint) => wants(endpoint, event))
    .map(({ id: endpointId }) => queued(endpointId, { kind: 'endpoint', endpointId }));
}

/** `receiver` is an endpoint's id, or `url` for the one address that an event may name itself. */
export function deliveryId(eventId: string, receiver: string): string {
  return `${eventId}-${receiver}`;
}

function wants({ id, enabled, events }: EndpointRecord, event: OutboxEvent): boolean {
  if (event.endpointIds?.includes(id) === false) return false;
  // Whoever asked for it looks into the log, where it says also that the endpoint was disabled meanwhile.
  const asked = event.type === 'webhook.ping' || event.redelivery !== undefined;
  return asked || (enabled && (events === null || events.includes(event.type)));
}
