import assert from 'node:assert/strict';
import { expectAttempts } from './apps.ts';
import { memoryBomb } from './documents.ts';
import { type Expected, type Ledger, lineDocument, openLedger } from './ledger.ts';
import { childrenRunning, rssOf } from './processes.ts';
import { type Row, seconds } from './row.ts';
import { callOf } from './scripts.ts';
import type { Environment, FaultSystem } from './system.ts';
import { within } from './waiting.ts';

/** Far above what the memory bomb takes to reach its limit, on a busy machine too. */
const decodeTimeoutMs = 15_000;
const slackMs = 3000;

export const decoderEnvironment: Environment = {
  DECODE_TIMEOUT_SECONDS: `${decodeTimeoutMs / 1000}`,
  // So that it is known which child has which document.
  DECODERS: '1',
};

export const decoderSegfault: Row = {
  number: 9,
  fault: 'segfault of a decoding child',
  promise: 'decode-crashed, a new child, the job succeeds with its next attempt, others unharmed',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-9');
    const { text } = lineDocument(0);
    const { pid, id, others } = await stuckInDecoder(system, ledger, { text });
    // A stopped process hears the one signal when it is woken by the other.
    process.kill(pid, 'SIGSEGV');
    process.kill(pid, 'SIGCONT');
    await ledger.check();
    expectAttempts(system.workers, id, ['retried decode-crashed', 'succeeded']);
    for (const other of others) expectAttempts(system.workers, other, ['succeeded']);
    assert.ok(!decodersOf(system).includes(pid) && decodersOf(system).length === 1, 'there is a new child');
    return '';
  },
};

export const decoderHangs: Row = {
  number: 10,
  fault: 'a decoding child never answers',
  promise: `decode-timeout within the limit of ${seconds(decodeTimeoutMs)} + 1 s, others unharmed`,
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-10');
    const { pid, id, others } = await stuckInDecoder(system, ledger, { codes: ['decode-timeout'] });
    await ledger.check().finally(() => killStopped(pid));
    for (const other of others) expectAttempts(system.workers, other, ['succeeded']);
    const { startedAt, finishedAt } = await ledger.job(id);
    const tookMs = Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '');
    assert.ok(tookMs <= decodeTimeoutMs + 1000 + slackMs, `it took ${seconds(tookMs)}`);
    return seconds(tookMs);
  },
};

export const decoderMemory: Row = {
  number: 11,
  fault: 'a document that needs more memory than a decoding child may have',
  promise: 'decode-out-of-memory, the worker’s own memory stays flat, others unharmed',
  quick: true,
  async run(system) {
    const ledger = openLedger(system, 'row-11');
    await system.put('row-11/bomb', memoryBomb());
    const beforeBytes = rssOf(system.worker.pid);
    await ledger.submit({ key: 'row-11/bomb', expected: { codes: ['decode-out-of-memory'] } });
    await ledger.submitLines(4);
    let mostBytes = beforeBytes;
    const watching = setInterval(() => {
      mostBytes = Math.max(mostBytes, rssOf(system.worker.pid));
    }, 50);
    try {
      await ledger.check();
    } finally {
      clearInterval(watching);
    }
    const grownBytes = mostBytes - beforeBytes;
    assert.ok(grownBytes < 100e6, `P5: the worker grew by ${Math.round(grownBytes / 1e6)} MB`);
    return `the worker grew by ${Math.round(grownBytes / 1e6)} MB`;
  },
};

/** Submits a document to a worker whose decoding child stands still, and others behind it. */
async function stuckInDecoder(
  system: FaultSystem,
  ledger: Ledger,
  stuck: Expected,
): Promise<{ pid: number; id: string; others: string[] }> {
  const [pid = 0] = decodersOf(system);
  process.kill(pid, 'SIGSTOP');
  await system.put(`stuck-${pid}`, lineDocument(0).bytes);
  const begun = system.proxy.trap(callOf('begin'), 'after');
  const id = await ledger.submit({ key: `stuck-${pid}`, expected: stuck });
  await within('decoding begins', begun.seen);
  begun.release();
  return { pid, id, others: await ledger.submitLines(3) };
}

function decodersOf({ worker }: FaultSystem): number[] {
  return childrenRunning(worker.pid, 'decode-process.ts');
}

/** A process that stands still would outlive its parent. */
function killStopped(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
