import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matrix } from './matrix.ts';
import { type Outcome, outcomeLine, runGroups } from './run.ts';

/** Systems side by side. */
const atOnce = 2;

const groups = matrix
  .map((group) => ({ ...group, rows: group.rows.filter(({ quick }) => quick) }))
  .filter(({ rows }) => rows.length > 0);
const outcomes = new Map<number, Outcome>();
const running = runGroups(groups, {
  atOnce,
  onOutcome: (outcome) => outcomes.set(outcome.row.number, outcome),
});

for (const { number, fault, promise } of groups.flatMap(({ rows }) => rows)) {
  test(`row ${number}: ${fault} → ${promise}`, async () => {
    await running;
    const outcome = outcomes.get(number);
    assert.ok(outcome, 'the row was run');
    assert.equal(outcome.result, 'passed', outcomeLine(outcome));
  });
}
