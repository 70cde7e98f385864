import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../integration/queue-setup.ts';
import { type Ledger, lineDocument, openLedger, type Submission } from './ledger.ts';
import { startLoad } from './load.ts';
import { type FaultProxy, startProxy } from './proxy.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';
import type { Row } from './row.ts';
import type { FaultSystem } from './system.ts';
import { msUntilWorking, settle } from './working.ts';

/** How old the word of the last replica may be (`min-replicas-max-lag`). */
const maxLagSeconds = 2;
const syncDeadlineMs = 30_000;
const cutOffMs = 2000;

/** A replica of the system's Redis, and the line between the two. */
interface Replica {
  server: RedisServer;
  link: FaultProxy;
}

export const failover: Row = {
  number: 23,
  fault: 'the master dies and its replica is promoted',
  promise:
    'with min-replicas-to-write 1 a master without its replica takes nothing more, and a pair in step loses nothing; without, what is lost is done when it is sent again',
  async run(system) {
    const replica = await startReplica(system);
    try {
      const kept = await failOverWithMinimum(system, replica);
      const lost = await failOverWithout(system, replica);
      return `${kept}; without a minimum and a replica cut off for ${cutOffMs / 1000} s: ${lost}`;
    } finally {
      await replica.link.close();
      await replica.server.stop();
    }
  },
};

/** A master whose only replica is cut off soon takes nothing; when one in step with its replica dies, nothing is lost. */
async function failOverWithMinimum(system: FaultSystem, replica: Replica): Promise<string> {
  const ledger = openLedger(system, 'row-23-minimum');
  const { client } = system.redis;
  await client.config('SET', 'min-replicas-max-lag', `${maxLagSeconds}`);
  await client.config('SET', 'min-replicas-to-write', '1');
  const load = startLoad(ledger);
  try {
    await until('the load runs', () => load.accepted > 20);
    replica.link.hold();
    await until('callers are refused', () => load.answers.at(-1)?.status === 503, 10_000);
    await replica.link.restore();
    await msUntilWorking(ledger);
    await promote(system, replica);
    await msUntilWorking(ledger);
    await load.stop();
    const lost = await lostOf(system, ledger);
    assert.deepEqual(lost, [], 'P1: nothing acknowledged is lost');
    await failBack(system, replica);
    return `0 lost of ${await settle(ledger, load)}`;
  } finally {
    await load.stop();
  }
}

/** What the replica had not yet is lost, and taken again when it is sent again. */
async function failOverWithout(system: FaultSystem, replica: Replica): Promise<string> {
  const ledger = openLedger(system, 'row-23-without');
  // The master that came back knows nothing of a minimum.
  await ledger.submitLines(8);
  await ledger.check();
  await inStep(system, replica);
  replica.link.hold();
  await system.put('row-23/line', lineDocument(0).bytes);
  const sent: Submission[] = [];
  const untilMs = performance.now() + cutOffMs;
  while (performance.now() < untilMs) {
    const headers = { 'idempotency-key': `row-23-${sent.length}` };
    sent.push({ key: 'row-23/line', expected: { text: lineDocument(0).text }, headers });
    await ledger.submit(sent[sent.length - 1] ?? assert.fail());
    await delay(50);
  }
  await promote(system, replica);
  await msUntilWorking(ledger);
  const lost = await lostOf(system, ledger);
  for (const id of lost) ledger.forget(id);
  for (const job of sent) await ledger.submit(job);
  await failBack(system, replica);
  await ledger.check();
  return `${lost.length} of ${sent.length} lost, all of them done when sent again`;
}

async function startReplica({ dir, redis }: FaultSystem): Promise<Replica> {
  const link = await startProxy(redis.port);
  const server = await startRedisServer(join(dir, 'replica'), ['--maxmemory', '512mb']);
  await attach(server, { to: redis, port: link.port });
  return { server, link };
}

/** The master dies, the replica takes its place. */
async function promote({ redis, proxy }: FaultSystem, { server }: Replica): Promise<void> {
  await redis.kill();
  await server.client.replicaof('NO', 'ONE');
  proxy.target(server.port);
  proxy.reset();
}

/** The old master comes back as a replica of the new one, and takes its place again, with nothing between. */
async function failBack(system: FaultSystem, replica: Replica): Promise<void> {
  const { redis, proxy } = system;
  const { server, link } = replica;
  await link.restore();
  await redis.start();
  await attach(redis, { to: server, port: server.port });
  await proxy.refuse();
  await until(
    'both have the same',
    async () => (await offset(redis)) === (await offset(server)),
    syncDeadlineMs,
  );
  await redis.client.replicaof('NO', 'ONE');
  proxy.target(redis.port);
  await proxy.restore();
  await attach(server, { to: redis, port: link.port });
}

/** Makes it a replica of a master, which it reaches at this port, and waits until it has everything. */
async function attach(
  { client }: RedisServer,
  { to: master, port }: { to: RedisServer; port: number },
): Promise<void> {
  await master.client.config('SET', 'repl-diskless-sync-delay', '0');
  await client.replicaof('127.0.0.1', port);
  const isUp = async () => /master_link_status:up/.test(await client.info('replication'));
  await until('the replica has everything', isUp, syncDeadlineMs);
}

async function inStep({ redis }: FaultSystem, { server }: Replica): Promise<void> {
  const isLevel = async () => {
    const master = await offset(redis);
    return (await offset(server)) >= master;
  };
  await until('the replica is in step', isLevel, syncDeadlineMs);
}

async function offset({ client }: RedisServer): Promise<number> {
  const info = await client.info('replication');
  return Number(/^(?:slave|master)_repl_offset:(\d+)/m.exec(info)?.[1]);
}

/** Jobs that were acknowledged and of which nothing is known any more. */
async function lostOf(system: FaultSystem, ledger: Ledger): Promise<string[]> {
  const lost: string[] = [];
  for (const id of ledger.ids) if ((await system.call(`/v1/jobs/${id}`)).status === 404) lost.push(id);
  return lost;
}
