import {
  attemptSchema,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryStatus,
  deliverySchema,
  deliveryStatusSchema,
  type OutboxEvent,
} from '@glyphmill/contract/delivery';
import type { AutomaticReason, EndpointDisabledEvent } from '@glyphmill/contract/event';
import { newId } from '@glyphmill/contract/id';
import { z } from 'zod';
import type { Redis } from './connection.ts';
import { type AttemptEnd, verdictOf } from './delivery-outcome.ts';
import type { Keys } from './keys.ts';
import { loadScript } from './script.ts';

/** One delivery to an endpoint as its log holds it: those last attempted, so that its owner can look and ask again. */
export interface LoggedDelivery {
  delivery: Delivery;
  status: DeliveryStatus;
  nextAttemptAtMs: number | null;
  attempts: DeliveryAttempt[];
}

export interface EndedAttempt {
  delivery: Delivery;
  endpointId: string;
  attempt: DeliveryAttempt;
  end: AttemptEnd;
  nextAttemptAtMs: number | null;
  nowMs: number;
}

/** A delivery given up after so long without any success disables its endpoint. */
const disableAfterMs = 5 * 86_400_000;
const deliveriesKept = 100;
export const logKeptForMs = 7 * 86_400_000;
/** More than the schedule has; redeliveries add to them. */
const attemptsKept = 32;

const attemptedScript = loadScript('attempted');

/** Notes the attempt in its endpoint's log, and disables the endpoint where it is time to; tells why it did. */
export async function recordAttempt(
  redis: Redis,
  keys: Keys,
  ended: EndedAttempt,
): Promise<AutomaticReason | undefined> {
  const { delivery, endpointId, attempt, end, nextAttemptAtMs, nowMs } = ended;
  const { id, tenant } = delivery;
  const verdict = verdictOf(end);
  const reason = verdict === 'gone' ? 'gone' : 'failing';
  const answer = await attemptedScript.run(redis, keys, {
    keys: [keys.endpoint(endpointId), keys.endpointLog(endpointId), keys.outbox],
    args: [
      tenant,
      id,
      nowMs,
      verdict,
      JSON.stringify(attempt),
      reason,
      JSON.stringify(disabledEvent({ tenant, endpointId, reason, nowMs })),
      disableAfterMs,
      deliveriesKept,
      logKeptForMs,
      attemptsKept,
      ...['delivery', JSON.stringify(delivery)],
      ...['status', end.ended === 'retry' ? 'pending' : end.ended],
      ...['nextAttemptAt', nextAttemptAtMs ?? ''],
    ],
  });
  return answer === 'disabled' ? reason : undefined;
}

/** For the tenant's other endpoints: the disabled one gets nothing any more. */
function disabledEvent(disabled: {
  tenant: string;
  endpointId: string;
  reason: AutomaticReason;
  nowMs: number;
}): OutboxEvent {
  const { tenant, endpointId, reason, nowMs } = disabled;
  const event: EndpointDisabledEvent = {
    type: 'webhook.endpoint-disabled',
    timestamp: new Date(nowMs).toISOString(),
    data: { endpointId, reason },
  };
  const { type } = event;
  return { id: newId('evt'), tenant, type, body: JSON.stringify(event), url: null, endpointIds: null };
}

/** The deliveries to an endpoint, the last attempted first. */
export async function readLog(redis: Redis, keys: Keys, endpointId: string): Promise<LoggedDelivery[]> {
  const ids = await redis.zrevrange(keys.endpointLog(endpointId), 0, -1);
  const found = await Promise.all(ids.map((id) => readLogged(redis, keys, id)));
  return found.filter((logged) => logged !== undefined);
}

/** Undefined when the log has it no more. */
export async function readLogged(redis: Redis, keys: Keys, id: string): Promise<LoggedDelivery | undefined> {
  const [hash, attempts] = await Promise.all([
    redis.hgetall(keys.delivery(id)),
    redis.lrange(keys.deliveryAttempts(id), 0, -1),
  ]);
  if (hash.delivery === undefined) return undefined;
  const { delivery, status, nextAttemptAt } = hashSchema.parse(hash);
  return {
    delivery,
    status,
    nextAttemptAtMs: nextAttemptAt === '' ? null : Number(nextAttemptAt),
    attempts: attempts.map((json) => attemptSchema.parse(JSON.parse(json))),
  };
}

const hashSchema = z.object({
  delivery: z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(deliverySchema),
  status: deliveryStatusSchema,
  nextAttemptAt: z.string(),
});
