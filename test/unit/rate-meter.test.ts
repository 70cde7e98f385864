import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateMeter } from 'glyphmill-worker/rate-meter';

/** A meter of a worker that may hold ten jobs, and a hand on its clock. */
function meterWithClock() {
  let now = 0;
  const meter = createRateMeter(10, () => now);
  return {
    meter,
    /** Lets time pass with so many jobs in hand, reading so many pages a second. */
    work(seconds: number, { jobs, perSecond }: { jobs: number; perSecond: number }) {
      meter.inHand(jobs);
      for (let second = 0; second < seconds; second += 1) {
        now += 1;
        meter.read(perSecond);
      }
    },
    rest(seconds: number) {
      meter.inHand(0);
      now += seconds;
    },
    rate: () => meter.pagesPerSecond() ?? Number.NaN,
  };
}

test('nothing is known until pages have been read for a whole window', () => {
  const { meter, work } = meterWithClock();
  assert.equal(meter.pagesPerSecond(), undefined);
  work(4, { jobs: 10, perSecond: 3 });
  assert.equal(meter.pagesPerSecond(), undefined);
  work(1, { jobs: 10, perSecond: 3 });
  assert.equal(meter.pagesPerSecond(), 3);
});

test('a first window in which a long page was being read says nothing', () => {
  const { meter, work } = meterWithClock();
  work(20, { jobs: 1, perSecond: 0 });
  assert.equal(meter.pagesPerSecond(), undefined);
});

test('time in which there is nothing to do does not count', () => {
  const { work, rest, rate } = meterWithClock();
  for (let round = 0; round < 10; round += 1) {
    work(2, { jobs: 10, perSecond: 4 });
    rest(1000);
  }
  assert.equal(rate(), 4);
});

test('a trickle does not make the worker look slow', () => {
  const { work, rate } = meterWithClock();
  work(60, { jobs: 10, perSecond: 20 });
  work(3600, { jobs: 1, perSecond: 1 });
  assert.ok(rate() > 19.9, `${rate()}`);
});

test('a faster pace is believed within half a minute, a slower one under full load within minutes', () => {
  const { work, rate } = meterWithClock();
  work(60, { jobs: 10, perSecond: 2 });
  work(30, { jobs: 1, perSecond: 20 });
  assert.ok(rate() > 18, `${rate()}`);
  work(300, { jobs: 10, perSecond: 2 });
  assert.ok(rate() < 4, `${rate()}`);
});
