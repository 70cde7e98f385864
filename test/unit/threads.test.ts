import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { CpuGate } from '@glyphmill/inference/cpu-gate';
import { boundedByQuota, cpuBudget, defaultInstanceCount, parseCpuMax } from '@glyphmill/inference/threads';
import fc from 'fast-check';

describe('the CPU budget', () => {
  it('is bounded by the quota of the cgroup, and never below one core', () => {
    assert.equal(boundedByQuota(8, parseCpuMax('max 100000\n')), 8);
    assert.equal(boundedByQuota(8, parseCpuMax('250000 100000')), 2);
    assert.equal(boundedByQuota(8, parseCpuMax('50000 100000')), 1);
    assert.equal(boundedByQuota(2, parseCpuMax('1600000 100000')), 2);
    assert.equal(boundedByQuota(4, parseCpuMax('')), 4);
    assert.equal(boundedByQuota(4, parseCpuMax('-1 100000')), 4);
  });

  it('is at most what this machine has', () => {
    assert.ok(cpuBudget() >= 1 && cpuBudget() <= availableParallelism());
  });

  it('gives a recogniser its cores and a detector one', () => {
    assert.equal(defaultInstanceCount('recognize', 8, 1), 8);
    assert.equal(defaultInstanceCount('recognize', 8, 3), 2);
    assert.equal(defaultInstanceCount('recognize', 1, 4), 1);
    assert.equal(defaultInstanceCount('detect', 8, 1), 1);
  });
});

describe('the gate of the CPU', () => {
  it('lets no more threads run than the budget has, and everyone in at last, in order', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        sizes,
        fc.scheduler(),
        async (budget, threads, scheduler) => {
          const gate = new CpuGate(budget);
          const entered: number[] = [];
          let running = 0;
          const runs = threads.map(async (wanted, i) => {
            const leave = await gate.enter(wanted);
            entered.push(i);
            running += Math.min(wanted, budget);
            assert.ok(running <= budget, `${running} threads of ${budget}`);
            await scheduler.schedule(Promise.resolve());
            running -= Math.min(wanted, budget);
            leave();
          });
          await scheduler.waitFor(Promise.all(runs));
          assert.deepEqual(
            entered,
            threads.map((_, i) => i),
          );
        },
      ),
      { numRuns: 50 },
    );
  });
});
