import type { DeliveryView, Endpoint } from '@glyphmill/contract/endpoint';
import { timeOfId } from '@glyphmill/contract/id';
import type { LoggedDelivery } from '@glyphmill/queue/delivery-log';
import type { EndpointRecord } from '@glyphmill/queue/endpoint-record';

/** An endpoint as its owner sees it: without its secrets. */
export function toEndpoint(record: EndpointRecord): Endpoint {
  const { id, url, events, description, enabled, disabledReason } = record;
  return {
    object: 'webhook-endpoint',
    id,
    url,
    events,
    description,
    enabled,
    disabledReason,
    disabledAt: timeOrNull(record.disabledAtMs),
    failingSince: timeOrNull(record.failingSinceMs),
    createdAt: timeText(record.createdAtMs),
  };
}

/** With the secret that is shown this once. */
export function toEndpointWithSecret(record: EndpointRecord, secret: string) {
  const previousSecretExpiresAt = timeOrNull(record.previous?.untilMs ?? null);
  return { ...toEndpoint(record), secret, previousSecretExpiresAt };
}

export function toDelivery(logged: LoggedDelivery, endpointId: string): DeliveryView {
  const { delivery, status, nextAttemptAtMs, attempts } = logged;
  const { id, eventId, type } = delivery;
  return {
    object: 'webhook-delivery',
    id,
    endpointId,
    eventId,
    type,
    status,
    createdAt: timeText(timeOfId(eventId)),
    nextAttemptAt: timeOrNull(nextAttemptAtMs),
    attempts,
  };
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function timeOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : timeText(timeMs);
}
