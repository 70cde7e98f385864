import assert from 'node:assert/strict';
import { until } from '../integration/queue-setup.ts';
import { attemptsAt, expectAttempts } from './apps.ts';
import { largeResultDocument } from './documents.ts';
import { type Expected, type Ledger, lineDocument, openLedger } from './ledger.ts';
import { type Row, seconds } from './row.ts';
import { documentsBucket, type Rule } from './s3-double.ts';
import type { Environment, FaultSystem } from './system.ts';

const fetchTimeoutMs = 3000;
/** The machine is shared. */
const slackMs = 2000;
/** Requests that the client makes for one attempt against answers that ask it to come again. */
const triesPerAttempt = 3;
const maxAttempts = 5;
/** Longer than any deadline. */
const foreverMs = 600_000;

export const s3Environment: Environment = { FETCH_TIMEOUT_SECONDS: `${fetchTimeoutMs / 1000}` };

export const storeErrors: Row = {
  number: 24,
  fault: 'S3 answers 503 SlowDown for a while, 500 for ever',
  promise: 'tried again with growing pauses; then source-unavailable',
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-24');
    const slowDown = { status: 503, code: 'SlowDown' };
    const burst = await submitFaulty(system, ledger, {
      key: 'row-24/burst',
      fault: slowDown,
      times: triesPerAttempt + 1,
    });
    const down = await submitFaulty(system, ledger, {
      key: 'row-24/down',
      fault: { status: 500, code: 'InternalError' },
      expected: { codes: ['source-unavailable'] },
    });
    await ledger.check();
    expectAttempts(system.workers, burst, ['retried source-unavailable', 'succeeded']);
    const retried = Array.from({ length: maxAttempts - 1 }, () => 'retried source-unavailable');
    expectAttempts(system.workers, down, [...retried, 'failed source-unavailable']);
    assert.equal(system.s3.count('GetObject', 'row-24/down'), maxAttempts * triesPerAttempt);
    return '';
  },
};

export const storeSilent: Row = {
  number: 25,
  fault: 'S3 takes a request and never answers',
  promise: `source-timeout within ${seconds(fetchTimeoutMs)}, tried again`,
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-25');
    const hang = { hangMs: foreverMs };
    const id = await submitFaulty(system, ledger, { key: 'row-25/hang', fault: hang, times: 1 });
    await ledger.check();
    return expectTimedOut(system, id);
  },
};

export const storeDrips: Row = {
  number: 26,
  fault: 'an S3 body comes a few bytes at a time',
  promise: 'the deadline ends it, it is tried again, others go on meanwhile',
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-26');
    const drip = { dripBytesPerSecond: 100 };
    const id = await submitFaulty(system, ledger, { key: 'row-26/drip', fault: drip, times: 1 });
    await untilFetched(system, 'row-26/drip');
    const others = await ledger.submitLines(4);
    await ledger.check();
    const finishedMs = async (of: string) => Date.parse((await ledger.job(of)).finishedAt ?? '');
    const dripFinishedMs = await finishedMs(id);
    for (const other of others)
      assert.ok((await finishedMs(other)) < dripFinishedMs, `job ${other} waited behind the slow one`);
    return expectTimedOut(system, id);
  },
};

export const storeDamages: Row = {
  number: 27,
  fault: 'an S3 body is cut, or a byte of it is wrong',
  promise: 'fetched again; damaged bytes are never read as text',
  quick: true,
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-27');
    const cut = await submitFaulty(system, ledger, {
      key: 'row-27/cut',
      fault: { truncateAt: 700 },
      times: 1,
    });
    const damaged = await submitFaulty(system, ledger, {
      key: 'row-27/damaged',
      // In the picture's data, which a decoder would take as it comes.
      fault: { corruptByteAt: 1000 },
      times: 2,
    });
    await ledger.check();
    expectAttempts(system.workers, cut, ['retried source-unavailable', 'succeeded']);
    const retried = 'retried source-unavailable';
    expectAttempts(system.workers, damaged, [retried, retried, 'succeeded']);
    return '';
  },
};

export const objectChanges: Row = {
  number: 28,
  fault: 'an object is deleted or overwritten between submit and read',
  promise: 'source-not-found; source-changed where its ETag was given, else what is there now is read',
  async run(system) {
    const ledger = openLedger(system, 'row-28');
    const now = lineDocument(3);
    // Requests arrive, and find what is there a little later.
    const wait = { hangMs: 1500 };
    const submit = (key: string, expected: Expected, source: object = {}) =>
      submitFaulty(system, ledger, { key: `row-28/${key}`, fault: wait, expected, source });
    const signal = AbortSignal.timeout(foreverMs);
    const place = (key: string) => ({ bucket: documentsBucket, key: `row-28/${key}` });
    await system.put('row-28/tagged', lineDocument(2).bytes);
    const { etag } = await system.s3.objects.head(place('tagged'), { signal });
    await submit('deleted', { codes: ['source-not-found'] });
    await submit('overwritten', { text: now.text });
    const tagged = await submit('tagged', { codes: ['source-changed'] }, { ifMatch: etag });
    await Promise.all([
      untilFetched(system, 'row-28/deleted').then(() =>
        system.s3.objects.remove(place('deleted'), { signal }),
      ),
      ...['row-28/overwritten', 'row-28/tagged'].map((key) =>
        untilFetched(system, key).then(() => system.put(key, now.bytes)),
      ),
    ]);
    await ledger.check();
    expectAttempts(system.workers, tagged, ['failed source-changed']);
    return '';
  },
};

export const accessRefused: Row = {
  number: 29,
  fault: 'S3 answers AccessDenied, or that the credentials have expired',
  promise: 'source-access-denied at once, and a retry by hand succeeds; expired ones are asked for anew',
  together: true,
  async run(system) {
    const ledger = openLedger(system, 'row-29');
    const denied = { status: 403, code: 'AccessDenied' };
    const refused = await submitFaulty(system, ledger, {
      key: 'row-29/denied',
      fault: denied,
      times: 1,
      expected: { codes: ['source-access-denied'] },
    });
    const expired = await submitFaulty(system, ledger, {
      key: 'row-29/expired',
      fault: { status: 400, code: 'ExpiredToken' },
      times: 1,
    });
    await ledger.check();
    expectAttempts(system.workers, refused, ['failed source-access-denied']);
    expectAttempts(system.workers, expired, ['retried source-unavailable', 'succeeded']);
    // Whoever runs the store has let us in meanwhile.
    const response = await system.call(`/v1/jobs/${refused}/retry`, { method: 'POST' });
    assert.equal(response.status, 202, await response.text());
    await until('the retry succeeds', async () => (await ledger.job(refused)).status === 'succeeded');
    return '';
  },
};

export const resultRefused: Row = {
  number: 30,
  fault: 'S3 refuses a result after the document was read',
  promise: 'destination-failed, read again, one result',
  async run(system) {
    const ledger = openLedger(system, 'row-30');
    await system.put('row-30/large', await largeResultDocument());
    const slowDown = { status: 503, code: 'SlowDown' };
    system.s3.fail({ operation: 'PutObject', prefix: 'results/', fault: slowDown, times: triesPerAttempt });
    const more = { options: { characters: true } };
    const id = await ledger.submit({ key: 'row-30/large', expected: { text: undefined }, more });
    await ledger.check();
    expectAttempts(system.workers, id, ['retried destination-failed', 'succeeded']);
    assert.equal(system.s3.count('PutObject', `results/${id}`), triesPerAttempt + 1);
    return '';
  },
};

/** Submits a line document of its own under this key, which meets the fault when it is read. */
async function submitFaulty(
  system: FaultSystem,
  ledger: Ledger,
  {
    key,
    fault,
    times,
    expected,
    source = {},
  }: { key: string; fault: Rule['fault']; times?: number; expected?: Expected; source?: object },
): Promise<string> {
  const { bytes, text } = lineDocument(2);
  await system.put(key, bytes);
  system.s3.fail({ operation: 'GetObject', prefix: key, fault, ...(times === undefined ? {} : { times }) });
  return ledger.submit({ key, expected: expected ?? { text }, source });
}

function untilFetched({ s3 }: FaultSystem, key: string): Promise<true> {
  return until(`${key} is fetched`, () => s3.count('GetObject', key) > 0 || undefined);
}

/** The first attempt timed out in time, the second succeeded. Answers with how long the first took. */
function expectTimedOut({ workers }: FaultSystem, id: string): string {
  expectAttempts(workers, id, ['retried source-timeout', 'succeeded']);
  const [{ durationMs } = { durationMs: Number.NaN }] = attemptsAt(workers, id);
  assert.ok(durationMs <= fetchTimeoutMs + slackMs, `it took ${seconds(durationMs)}`);
  return seconds(durationMs);
}
