import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { localTenant } from 'glyphmill-cli/local-secrets';
import { until } from '../integration/queue-setup.ts';
import { type Ledger, lineDocument, openLedger } from './ledger.ts';
import { judge, startLoad } from './load.ts';
import { accepted, type Hook } from './receiver.ts';
import { type Row, seconds } from './row.ts';
import { callOf } from './scripts.ts';
import { stalledAmong } from './stalls.ts';
import type { FaultSystem } from './system.ts';
import { within } from './waiting.ts';
import { msUntilWorking, settle } from './working.ts';

/** What the API gives Redis for a command (connection.ts). */
const commandTimeoutMs = 2000;
/** After so much silence a connection is given up (connection.ts). */
const socketTimeoutMs = 20_000;
/** The machine is shared. */
const slackMs = 2000;
const recoveryDeadlineMs = 60_000;

export const redisKilled: Row = {
  number: 13,
  fault: 'kill -9 Redis under load, and start it on its append-only file',
  promise: 'every acknowledged job ends',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-13');
    const load = startLoad(ledger);
    try {
      await until('the load runs', () => load.accepted > 20);
      await system.redis.kill();
      await system.redis.start();
      const tookMs = await msUntilWorking(ledger);
      return `${seconds(tookMs)} until a job ended again, ${await settle(ledger, load)}`;
    } finally {
      await load.stop();
    }
  },
};

const resumeAfterResetMs = 2000;

export const connectionsReset: Row = {
  number: 17,
  fault: 'every connection to Redis is reset under load',
  promise: `a job submitted then has ended within ${seconds(resumeAfterResetMs)}`,
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-17');
    const load = startLoad(ledger);
    try {
      await until('the load runs', () => load.accepted > 20);
      system.proxy.reset();
      const tookMs = await msUntilWorking(ledger);
      assert.ok(tookMs <= resumeAfterResetMs + slackMs, `it took ${seconds(tookMs)}`);
      return `${seconds(tookMs)}, ${await settle(ledger, load)}`;
    } finally {
      await load.stop();
    }
  },
};

/** Longer than anything waits between two tries at a connection; the longer, the more of the same. */
const refusedMs = 5000;
const resumeAfterRefusalMs = 20_000;

export const connectionsRefused: Row = {
  number: 18,
  fault: `Redis refuses connections for ${seconds(refusedMs)} under load`,
  promise: `the API answers 503 within ${seconds(commandTimeoutMs)}, work goes on within ${seconds(resumeAfterRefusalMs)}`,
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-18');
    const load = startLoad(ledger);
    try {
      await until('the load runs', () => load.accepted > 20);
      await system.proxy.refuse();
      await delay(refusedMs);
      await system.proxy.restore();
      const tookMs = await msUntilWorking(ledger);
      assert.ok(tookMs <= resumeAfterRefusalMs, `it took ${seconds(tookMs)}`);
      const settled = await settle(ledger, load);
      const { slowestMs } = judge(load.answers);
      assert.ok(slowestMs <= commandTimeoutMs + slackMs, `a caller waited ${seconds(slowestMs)}`);
      return `${seconds(tookMs)}, the slowest answer took ${seconds(slowestMs)}, ${settled}`;
    } finally {
      await load.stop();
    }
  },
};

export const connectionsSilent: Row = {
  number: 19,
  fault: 'every connection to Redis is cut without a word, under load',
  promise: `work goes on within ${seconds(socketTimeoutMs + 5000)}, and callers who wait are told of ends again`,
  async run(system) {
    const ledger = openLedger(system, 'row-19');
    const load = startLoad(ledger);
    try {
      await until('the load runs', () => load.accepted > 20);
      system.proxy.silence();
      const tookMs = await msUntilWorking(ledger);
      assert.ok(tookMs <= socketTimeoutMs + 5000 + slackMs, `it took ${seconds(tookMs)}`);
      const waitedMs = await msUntilTold(system, ledger);
      assert.ok(waitedMs <= longWaitMs / 2, `a caller was told after ${seconds(waitedMs)}`);
      return `${seconds(tookMs)}, ${await settle(ledger, load)}`;
    } finally {
      await load.stop();
    }
  },
};

const frozenMs = 8000;
const persistentClients = 12;
/** How long they wait before they send again. */
const againMs = 300;

export const redisFrozen: Row = {
  number: 16,
  fault: `Redis stands still for ${seconds(frozenMs)} under load`,
  promise: 'what clients send again under the same Idempotency-Key is one job, nothing happens twice',
  async run(system) {
    const ledger = openLedger(system, 'row-16');
    await system.put('row-16/line', lineDocument(0).bytes);
    // From the first job that is taken on, no caller hears so before he has been told to come again.
    const taken = system.proxy.trap(callOf('create'), 'after');
    const before = await countJobs(system);
    const clients = Array.from({ length: persistentClients }, (_, index) =>
      persist(ledger, { hook: system.receiver.hook(accepted), name: `row-16-${index}` }),
    );
    await within('a job is about to be taken', taken.seen);
    await until('it is taken', async () => (await countJobs(system)) > before);
    process.kill(system.redis.pid, 'SIGSTOP');
    const load = startLoad(ledger);
    try {
      await delay(frozenMs);
      process.kill(system.redis.pid, 'SIGCONT');
      taken.release();
      const settled = settle(ledger, load);
      const sent = await Promise.all(clients);
      const figures = await settled;
      await ledger.check();
      for (const { hook, tries } of sent) {
        const told = new Set(hook.deliveries.map(({ event }) => event.data.jobId));
        assert.equal(told.size, 1, `P2: sent ${tries} times under one key, it is ${told.size} jobs`);
      }
      return `${figures}, sent ${sent.map(({ tries }) => tries).join(', ')} times`;
    } finally {
      process.kill(system.redis.pid, 'SIGCONT');
      await load.stop();
    }
  },
};

const latency = { latencyMs: 200, jitterMs: 50 };
/** Documents a second; far below what is seen, as this is about standing still. */
const leastPerSecond = 2;
const slowJobs = 120;

export const slowNetwork: Row = {
  number: 20,
  fault: `${latency.latencyMs} ms of latency and ${latency.jitterMs} ms of jitter either way to Redis`,
  promise: `at least ${leastPerSecond} documents a second, and no job stalls`,
  async run(system) {
    const ledger = openLedger(system, 'row-20');
    system.proxy.travel(latency);
    const begunMs = performance.now();
    const lanes = 12;
    await Promise.all(Array.from({ length: lanes }, () => ledger.submitLines(slowJobs / lanes)));
    await until('all have ended', () => isIdle(system), recoveryDeadlineMs);
    const perSecond = ledger.ids.length / ((performance.now() - begunMs) / 1000);
    await system.proxy.restore();
    await ledger.check();
    assert.deepEqual(await stalledAmong(system, ledger.ids), []);
    assert.ok(perSecond >= leastPerSecond, `${perSecond.toFixed(1)} documents a second`);
    return `${perSecond.toFixed(1)} documents a second`;
  },
};

/** Jobs of the tenant, ended ones too. */
function countJobs({ redis: { client }, keys }: FaultSystem): Promise<number> {
  return client.zcard(keys.tenantJobs(localTenant));
}

/** By what Redis says to us, who are near. */
async function isIdle({ redis: { client }, keys: { prefix } }: FaultSystem): Promise<boolean> {
  const names = ['active', 'wait'].map((state) => client.llen(`${prefix}:documents:${state}`));
  const [active, waiting, prioritized] = await Promise.all([
    ...names,
    client.zcard(`${prefix}:documents:prioritized`),
  ]);
  return active === 0 && waiting === 0 && prioritized === 0;
}

const longWaitMs = 20_000;

/** Milliseconds until a caller who waits for the end of a job has his answer. */
async function msUntilTold(system: FaultSystem, ledger: Ledger): Promise<number> {
  const id = await ledger.submitLine();
  const begunMs = performance.now();
  const response = await system.call(`/v1/jobs/${id}?wait=${longWaitMs / 1000}`);
  assert.equal(response.status, 200, await response.text());
  return performance.now() - begunMs;
}

/** As a careful client: sends a job under one Idempotency-Key until it is told that it was taken. */
async function persist(
  ledger: Ledger,
  { hook, name }: { hook: Hook; name: string },
): Promise<{ hook: Hook; tries: number }> {
  const job = {
    key: 'row-16/line',
    expected: { text: lineDocument(0).text },
    hook,
    headers: { 'idempotency-key': name },
  };
  let tries = 0;
  const isTaken = async () => {
    if (tries > 0) await delay(againMs);
    tries += 1;
    return (await ledger.trySubmit(job)).id !== undefined;
  };
  await until('the job is taken', isTaken, recoveryDeadlineMs);
  return { hook, tries };
}
