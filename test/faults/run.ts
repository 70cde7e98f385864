import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../integration/queue-setup.ts';
import { openLedger } from './ledger.ts';
import { type Group, type Row, Skip, seconds } from './row.ts';
import { type FaultSystem, startFaultSystem } from './system.ts';

export interface Outcome {
  row: Row;
  result: 'passed' | 'failed' | 'skipped';
  tookMs: number;
  /** Figures seen, why it failed, or what is missing. */
  note: string;
}

/** What the README states for a worker on 2 cores. */
const workerBoundBytes = 3e9;
/** The queue of these tests fits in a small part of it. */
const redisBoundBytes = 256e6;
const recoveryDeadlineMs = 60_000;

/** Runs the groups, so many at once, each on a system of its own; an outcome is told as soon as it is known. */
export async function runGroups(
  groups: readonly Group[],
  { atOnce, onOutcome }: { atOnce: number; onOutcome: (outcome: Outcome) => void },
): Promise<void> {
  const waiting = [...groups];
  const work = async () => {
    for (let group = waiting.shift(); group !== undefined; group = waiting.shift())
      await runGroup(group, onOutcome);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

async function runGroup(group: Group, onOutcome: (outcome: Outcome) => void): Promise<void> {
  const alone = group.rows.filter(({ together }) => together === undefined);
  const together = group.rows.filter(({ together }) => together);
  const steps = [...alone.map((row) => [row]), ...(together.length > 0 ? [together] : [])];
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-group-'));
  let opened: Promise<FaultSystem> | undefined;
  const open = () => {
    opened ??= start(group, dir);
    return opened;
  };
  const close = async (directory?: 'keep') => {
    const system = await opened?.catch(() => undefined);
    opened = undefined;
    await system?.close(directory);
  };
  try {
    for (const rows of steps) {
      const failed = await runStep(rows, { group, open, onOutcome });
      // What a failed row leaves behind is not the next one's to bear.
      if (failed) await close('keep');
    }
  } finally {
    await close();
    await rm(dir, { recursive: true, force: true });
  }
}

async function start(group: Group, dir: string): Promise<FaultSystem> {
  const system = await startFaultSystem(await group.env?.(dir));
  try {
    // Redis has every script from now on, as it has after the first minute of its life.
    await runCanary(system, group);
    return system;
  } catch (error) {
    await system.close('keep');
    throw error;
  }
}

/** Runs rows side by side and then sees whether the system is as it was; true when any failed. */
async function runStep(
  rows: readonly Row[],
  {
    group,
    open,
    onOutcome,
  }: { group: Group; open: () => Promise<FaultSystem>; onOutcome: (outcome: Outcome) => void },
): Promise<boolean> {
  let logs = '';
  const outcomes = await Promise.all(
    rows.map(async (row): Promise<Outcome> => {
      let begunMs = performance.now();
      const end = (result: Outcome['result'], note: string): Outcome => ({
        row,
        result,
        tookMs: performance.now() - begunMs,
        note,
      });
      try {
        const system = await open();
        logs = `\nThe logs are kept in ${system.dir}`;
        begunMs = performance.now();
        return end('passed', await row.run(system));
      } catch (error) {
        if (error instanceof Skip) return end('skipped', error.message);
        return end('failed', `${error instanceof Error ? error.stack : error}${logs}`);
      }
    }),
  );
  const spoiled = outcomes.some(({ result }) => result === 'failed')
    ? undefined
    : await rest(await open(), group);
  for (const outcome of outcomes)
    onOutcome(spoiled === undefined ? outcome : { ...outcome, result: 'failed', note: spoiled });
  return spoiled !== undefined || outcomes.some(({ result }) => result === 'failed');
}

/** Undefined when the system is well again by itself (P4) and nothing is left over (P5); else what is wrong. */
async function rest(system: FaultSystem, group: Group): Promise<string | undefined> {
  try {
    await system.proxy.restore();
    await until('P4: every process is ready again', () => isReady(system), recoveryDeadlineMs);
    await runCanary(system, group);
    await checkEmpty(system);
    await checkMemory(system);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `afterwards: ${reason}\nThe logs are kept in ${system.dir}`;
  }
}

/** One job through everything. */
async function runCanary(system: FaultSystem, { canary: expected }: Group): Promise<void> {
  const canary = openLedger(system, 'canary');
  await canary.submitLine(expected && { expected });
  await canary.check({ withinMs: recoveryDeadlineMs });
}

async function isReady({ api, worker, webhook }: FaultSystem): Promise<boolean> {
  const ready = await Promise.allSettled([api, worker, webhook].map((app) => app.ready()));
  return ready.every(({ status }) => status === 'fulfilled');
}

async function checkEmpty({ redis: { client }, keys }: FaultSystem): Promise<void> {
  const length = {
    active: async (queue: string) => client.llen(`${keys.prefix}:${queue}:active`),
    wait: async (queue: string) => client.llen(`${keys.prefix}:${queue}:wait`),
    prioritized: async (queue: string) => client.zcard(`${keys.prefix}:${queue}:prioritized`),
    delayed: async (queue: string) => client.zcard(`${keys.prefix}:${queue}:delayed`),
  };
  for (const [state, count] of Object.entries(length)) {
    await until(`P5: no document is left ${state}`, async () => (await count('documents')) === 0);
  }
  await until('P5: no delivery is left active', async () => (await length.active('deliveries')) === 0);
}

async function checkMemory({ redis: { client }, workerRss }: FaultSystem): Promise<void> {
  const used = Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
  assert.ok(used > 0 && used < redisBoundBytes, `P5: Redis holds ${used} bytes`);
  const peak = workerRss.peak;
  assert.ok(peak < workerBoundBytes, `P5: the worker took ${Math.round(peak / 1e6)} MB`);
}

/** One line, and below it what there is to say. */
export function outcomeLine({ row, result, tookMs, note }: Outcome): string {
  const verdict = { passed: 'pass', failed: 'FAIL', skipped: 'SKIP' }[result];
  const number = String(row.number).padStart(2);
  const head = `${number}  ${verdict}  ${seconds(tookMs).padStart(7)}  ${row.fault} → ${row.promise}`;
  if (result === 'passed') return note === '' ? head : `${head} (${note})`;
  return `${head}\n${note.replace(/^/gm, '      ')}`;
}
