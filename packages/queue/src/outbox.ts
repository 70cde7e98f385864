import { type Delivery, type OutboxEvent, outboxEventSchema } from '@glyphmill/contract/delivery';
import { Queue } from 'bullmq';
import { connectConsumer, type OnConnectionError, type Redis, ready } from './connection.ts';
import { readEndpoints } from './endpoint-record.ts';
import { fanOut } from './fan-out.ts';
import { deliveriesQueue, keysOf, type QueueAddress } from './keys.ts';
import { requireKeepingRedis } from './redis-policy.ts';

export interface OutboxRelay {
  /** Age of the oldest event that no relay has moved yet; 0 when there is none. */
  oldestMs(): Promise<number>;
  /** Resolves when the relay has stopped; what it had not moved yet stays in the outbox. */
  close(): Promise<void>;
}

/**
 * The consumer group of all relays: each entry goes to one of them, and to another if that one dies. They
 * share one name within it: names are for telling readers apart, nothing here does, and Redis keeps each
 * name that it ever saw.
 */
const group = 'relay';
const consumer = 'relay';
const readCount = 100;
/** Deliveries queued in one step. */
const addCount = 500;
const blockMs = 2000;
/** An entry read but not confirmed for this long belonged to a relay that died. */
const claimAfterMs = 15_000;
const startDeadlineMs = 10_000;
const retryMs = 1000;

/**
 * Moves events from the outbox into the queue of deliveries, one delivery for each receiver. An entry leaves
 * the outbox only after its deliveries are queued, each under the ids of its event and its receiver, so that
 * a relay that dies in between neither loses nor doubles one.
 */
export async function startOutboxRelay(options: {
  address: QueueAddress;
  attempts: number;
  onError: OnConnectionError;
}): Promise<OutboxRelay> {
  const { address, attempts, onError } = options;
  const keys = keysOf(address.shard);
  const redis = connectConsumer(address.url, onError);
  await ready(redis, startDeadlineMs);
  // The API and the workers tell what this Redis may lose; here it only has to keep what it accepts.
  await requireKeepingRedis(redis, () => {});
  await createGroup(redis, keys.outbox);
  const queue = new Queue<Delivery>(deliveriesQueue, {
    connection: redis,
    prefix: keys.prefix,
    defaultJobOptions: {
      attempts,
      backoff: { type: 'custom' },
      removeOnComplete: { age: 86_400, count: 10_000 },
      removeOnFail: { age: 7 * 86_400, count: 100_000 },
    },
    streams: { events: { maxLen: 1000 } },
  });
  queue.on('error', onError);
  // Blocks, and so needs a connection of its own.
  const reader = connectConsumer(address.url, onError);
  let closing = false;
  let groupIsGone = false;

  async function relay(): Promise<void> {
    while (!closing) {
      try {
        if (groupIsGone) await createGroup(redis, keys.outbox);
        groupIsGone = false;
        await moveEntries(await adopt());
        await moveEntries(await read());
      } catch (error) {
        if (closing) return;
        onError(error instanceof Error ? error : new Error(String(error)));
        groupIsGone = error instanceof Error && error.message.startsWith('NOGROUP');
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  async function read(): Promise<Entry[]> {
    const answer = await reader.xreadgroup(
      'GROUP',
      group,
      consumer,
      'COUNT',
      readCount,
      'BLOCK',
      blockMs,
      'STREAMS',
      keys.outbox,
      '>',
    );
    return entriesOf(Array.isArray(answer) && Array.isArray(answer[0]) ? answer[0][1] : []);
  }

  async function adopt(): Promise<Entry[]> {
    const answer = await redis.xautoclaim(
      keys.outbox,
      group,
      consumer,
      claimAfterMs,
      '0',
      'COUNT',
      readCount,
    );
    return entriesOf(answer[1]);
  }

  async function moveEntries(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    const jobs = (await fanOutAll(entries)).map(({ jobId, delivery }) => ({
      name: 'delivery',
      data: delivery,
      opts: { jobId },
    }));
    for (let start = 0; start < jobs.length; start += addCount) {
      await queue.addBulk(jobs.slice(start, start + addCount));
    }
    const ids = entries.map(({ id }) => id);
    await redis
      .multi()
      .xack(keys.outbox, group, ...ids)
      .xdel(keys.outbox, ...ids)
      .exec();
    for (const { id, event } of entries) {
      if (event === undefined) onError(new Error(`entry ${id} of the outbox cannot be read and was dropped`));
    }
  }

  async function fanOutAll(entries: readonly Entry[]) {
    const events = entries.flatMap(({ event }) => event ?? []);
    const tenants = new Set(events.filter(({ url }) => url === null).map(({ tenant }) => tenant));
    const endpoints = new Map(
      await Promise.all(
        [...tenants].map(
          async (tenant) =>
            [tenant, await readEndpoints(redis, keys, { tenant, onDamage: onError })] as const,
        ),
      ),
    );
    return events.flatMap((event) => fanOut(event, endpoints.get(event.tenant) ?? []));
  }

  const running = relay();
  return {
    async oldestMs() {
      const [oldest] = await redis.xrange(keys.outbox, '-', '+', 'COUNT', 1);
      // An entry's id begins with the time it was written.
      return oldest === undefined ? 0 : Math.max(0, Date.now() - Number.parseInt(oldest[0], 10));
    },
    async close() {
      closing = true;
      reader.disconnect();
      await running;
      await queue.close();
      redis.disconnect();
    },
  };
}

interface Entry {
  id: string;
  /** Undefined when the entry is damaged. */
  event: OutboxEvent | undefined;
}

async function createGroup(redis: Redis, stream: string): Promise<void> {
  try {
    await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('BUSYGROUP')) throw error;
  }
}

/** Reads `[[id, ['event', json]], …]`; an entry deleted meanwhile has no fields and is skipped. */
function entriesOf(answer: unknown): Entry[] {
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((entry: unknown) => {
    if (!Array.isArray(entry) || !Array.isArray(entry[1])) return [];
    return [{ id: String(entry[0]), event: parseEvent(String(entry[1][1])) }];
  });
}

function parseEvent(json: string): OutboxEvent | undefined {
  try {
    return outboxEventSchema.parse(JSON.parse(json));
  } catch {
    return undefined;
  }
}
