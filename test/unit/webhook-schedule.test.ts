import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSchedule, retryAfterMs, standardDelaysMs } from 'glyphmill-webhook/schedule';

test('the waits are 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, and then it is over', () => {
  const schedule = createSchedule(standardDelaysMs, () => 0);
  assert.equal(schedule.attempts, 8);
  const minutes = [1, 2, 3, 4, 5, 6, 7].map((attempt) => schedule.delayMs(attempt) / 60_000);
  assert.deepEqual(minutes, [5 / 60, 5, 30, 120, 300, 600, 600]);
});

test('jitter only ever lengthens a wait, by less than a fifth', () => {
  const attempts = fc.integer({ min: 1, max: 7 });
  fc.assert(
    fc.property(attempts, fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
      const least = createSchedule(standardDelaysMs, () => 0).delayMs(attempt);
      const waited = createSchedule(standardDelaysMs, () => random).delayMs(attempt);
      assert.ok(waited >= least && waited <= least * 1.2, `${waited} for ${least}`);
    }),
  );
});

const nowMs = Date.parse('2026-03-01T12:00:00Z');

test('Retry-After is read as seconds or as a date, up to 24 hours', () => {
  assert.equal(retryAfterMs('120', nowMs), 120_000);
  assert.equal(retryAfterMs(' 0 ', nowMs), 0);
  assert.equal(retryAfterMs('Sun, 01 Mar 2026 12:05:00 GMT', nowMs), 300_000);
  assert.equal(retryAfterMs('Sunday, 01-Mar-26 12:05:00 GMT', nowMs), 300_000);
  assert.equal(retryAfterMs('Sun, 01 Mar 2026 11:00:00 GMT', nowMs), 0, 'a date gone by');
  assert.equal(retryAfterMs('99999999999999999999', nowMs), 86_400_000);
  assert.equal(retryAfterMs('Sat, 01 Mar 2036 12:00:00 GMT', nowMs), 86_400_000);
});

test('a Retry-After that says nothing is passed over', () => {
  for (const header of [undefined, '', 'soon', '-5', '1.5', '1e3', '2026', '0x10', 'Sun, nonsense']) {
    const expected = header === '2026' ? 2_026_000 : undefined;
    assert.equal(retryAfterMs(header, nowMs), expected, String(header));
  }
});

test('whatever a receiver writes into Retry-After, the wait is absent or between 0 and 24 hours', () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      const waitMs = retryAfterMs(header, nowMs);
      assert.ok(waitMs === undefined || (waitMs >= 0 && waitMs <= 86_400_000), 'it is there');
    }),
  );
});
