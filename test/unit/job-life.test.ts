// A job's life under faults of all kinds (job-life-simulation.ts): what must never be, never is, and every job ends. And
// the simulation sees what it is there for: each safeguard taken away shows within some seeds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyFault, type Fault, isPoll, type StrikingFault } from './job-life-faults.ts';
import { type Protocol, theProtocol } from './job-life-model.ts';
import { describe, search, shorten } from './job-life-search.ts';
import { type LifeOptions, playLife } from './job-life-simulation.ts';

const seeds = 2000;
const usual = { protocol: theProtocol, faults: everyFault, jobs: 4 };

test(`${seeds} histories with every fault break no promise, and all their jobs end`, () => {
  const found = search(usual, { from: 0, seeds });
  if (found !== undefined) assert.fail(describe(shorten(found)));
});

const strikes: StrikingFault[] = ['death before', 'death after', 'twice', 'pause', 'outage', 'unknown'];

test(`one fault (${strikes.join(', ')}) at each single step is survived`, () => {
  const quiet = { ...usual, faults: new Set<Fault>(), jobs: 3 };
  for (const from of [1, 2, 3]) {
    for (const [index, what] of playLife({ ...quiet, seed: from }).entries()) {
      if (isPoll(what)) continue;
      for (const fault of strikes) {
        const found = search({ ...quiet, strike: { command: index + 1, fault } }, { from, seeds: 1 });
        if (found !== undefined) assert.fail(`${fault} where one ${what}: ${describe(found)}`);
      }
    }
  }
});

test('the same seed plays the same history', () => {
  const play = () => {
    const lines: unknown[] = [];
    playLife({ ...usual, seed: 7, onStep: (line) => lines.push(line) });
    return lines;
  };
  const first = play();
  assert.ok(first.length > 50, `${first.length} steps`);
  assert.deepEqual(play(), first);
});

test('a history that goes wrong is told by its seed and in few lines', () => {
  const found = search({ ...usual, protocol: { ...theProtocol, leased: false } }, { from: 0, seeds });
  assert.ok(found !== undefined);
  const text = describe(shorten(found));
  assert.match(text, /^job\d+: (queued|canceling) for good \(seed \d+, [12] jobs, faults: [a-z, -]+\)$/m);
  assert.match(text, /ms {2}api\d\S* +creates job\d+: "/);
  assert.ok(text.split('\n').length < 60, text);
});

/** Each safeguard of the protocol, and how many seeds its absence may stay unseen for. */
const sabotages: {
  what: string;
  without: Partial<Protocol>;
  within: number;
  /** Where it is too rare among all that happens. */
  where?: Partial<LifeOptions>;
}[] = [
  { what: 'attempts write without a fence', without: { fenced: false }, within: 200 },
  { what: 'who takes a waiting job over has no token', without: { takerHasToken: false }, within: 500 },
  { what: 'a job is in BullMQ before its record is written', without: { recordFirst: false }, within: 200 },
  { what: 'nobody may take over from who adds a job to BullMQ', without: { leased: false }, within: 300 },
  { what: 'a lease ends before the job is in BullMQ', without: { leaseEndsAfterAdd: false }, within: 200 },
  {
    what: 'who is late ends the lease of a later round',
    without: { leaseOfRound: false },
    within: 1000,
    where: { nature: 'bad' },
  },
  { what: 'lifetimes go by the clock of whoever asks', without: { clockOfRedis: false }, within: 200 },
  { what: 'a retried job takes its old name in BullMQ', without: { nameOfRound: false }, within: 100 },
  {
    what: 'what BullMQ still hands out of an earlier round is claimed',
    without: { claimsOwnRound: false },
    within: 200,
  },
  { what: 'a key is spent after its job is written', without: { keySpentWithRecord: false }, within: 200 },
  { what: 'BullMQ is told before the job has ended', without: { commitFirst: false }, within: 200 },
  { what: 'the event is written after the job has ended', without: { eventWithCommit: false }, within: 100 },
  { what: 'deaths of workers are not counted', without: { deathsCounted: false }, within: 200 },
  {
    what: 'a late job that was claimed is taken out of BullMQ',
    without: { leavesClaimed: false },
    within: 2500,
    where: { nature: 'flaky', withDeadline: 1, faults: new Set(['slow', 'refused', 'shutdown']), times: 3 },
  },
  {
    what: 'a job expires by the deadline it had before it was retried',
    without: { lateByOwnDeadline: false },
    within: 300,
    where: { nature: 'bad', withDeadline: 1 },
  },
  {
    what: 'an attempt that lost its job to another tells BullMQ that it is done',
    without: { keptUntilFinal: false },
    within: 1000,
    where: { nature: 'flaky', times: 3 },
  },
  {
    what: 'BullMQ gives up a job that stalled twice, and the job ends afterwards',
    without: { givenUpAfter: { stalls: 1, errors: Number.POSITIVE_INFINITY } },
    within: 600,
    where: { faults: new Set(['death']), times: 3 },
  },
  {
    what: 'BullMQ gives up a job after two errors, and the job ends afterwards',
    without: { givenUpAfter: { stalls: Number.POSITIVE_INFINITY, errors: 2 } },
    within: 300,
    where: { faults: new Set(['refused', 'death']) },
  },
];

for (const { what, without, within, where } of sabotages) {
  test(`seen within ${within} seeds: ${what}`, () => {
    const spoilt = { ...usual, ...where, protocol: { ...theProtocol, ...without } };
    assert.ok(search(spoilt, { from: 0, seeds: within }) !== undefined, 'the simulation is blind to it');
    if (where === undefined) return;
    assert.equal(search({ ...usual, ...where }, { from: 0, seeds: 50 }), undefined, 'it fails without, too');
  });
}
