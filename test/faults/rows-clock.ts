import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { expectAttempts } from './apps.ts';
import { lineDocument, openLedger } from './ledger.ts';
import { type Row, Skip, seconds } from './row.ts';
import { withSoleWorker } from './sole-worker.ts';
import type { FaultSystem } from './system.ts';

/** Where Debian's package has it. */
const library = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
const clocks = ['+2h', '-2h', '+0 x10'];
const deadlineMs = 600_000;
const ttlSeconds = 7200;

export const clockWrong: Row = {
  number: 36,
  fault: 'the clock of a worker is two hours fast, two hours slow, or runs ten times as fast',
  promise: 'no deadline, lifetime, lock or pause goes by it',
  async run(system) {
    if (!existsSync(library)) throw new Skip(`${library} is missing; apt-get install faketime`);
    const notes: string[] = [];
    for (const clock of clocks) notes.push(`${clock}: ${seconds(await runWithClock(system, clock))}`);
    return notes.join(', ');
  },
};

async function runWithClock(system: FaultSystem, clock: string): Promise<number> {
  const name = `row-36/${clock}`;
  const ledger = openLedger(system, name);
  const env = { LD_PRELOAD: library, FAKETIME: clock, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
  return withSoleWorker(system, env, async () => {
    const begunMs = performance.now();
    const deadline = new Date(Date.now() + deadlineMs).toISOString();
    const more = { cache: 'bypass', ttlSeconds, deadline };
    const ids: string[] = [];
    for (let job = 0; job < 4; job += 1) ids.push(await ledger.submitLine({ more }));
    const { bytes, text } = lineDocument(0);
    const key = `${name}/again`;
    await system.put(key, bytes);
    const fault = { truncateAt: 700 };
    system.s3.fail({ operation: 'GetObject', prefix: key, fault, times: 1 });
    const again = await ledger.submit({ key, expected: { text }, more });
    await ledger.check();
    for (const id of ids) expectAttempts(system.workers, id, ['succeeded']);
    expectAttempts(system.workers, again, ['retried source-unavailable', 'succeeded']);
    for (const id of ids) await expectLifetime(system, id);
    return performance.now() - begunMs;
  });
}

/** By the clock of Redis, which is right. */
async function expectLifetime({ redis: { client }, keys }: FaultSystem, id: string): Promise<void> {
  const leftSeconds = (await client.pttl(keys.record(id))) / 1000;
  assert.ok(leftSeconds > ttlSeconds - 60 && leftSeconds <= ttlSeconds, `it lives for ${leftSeconds} s more`);
}
