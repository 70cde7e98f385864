import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { cpuQuota } from '@glyphmill/inference/cgroup';
import { CpuGate } from '@glyphmill/inference/cpu-gate';
import { boundedByQuota, cpuBudget, defaultInstanceCount } from '@glyphmill/inference/threads';
import fc from 'fast-check';

describe('the CPU budget', () => {
  it('is bounded by a quota, and never below one core', () => {
    assert.equal(boundedByQuota(8, 2.5), 2);
    assert.equal(boundedByQuota(8, 0.5), 1);
    assert.equal(boundedByQuota(2, 16), 2);
    assert.equal(boundedByQuota(4, Number.POSITIVE_INFINITY), 4);
  });

  const quotas: [what: string, files: Record<string, string>, cores: number][] = [
    ['no cgroups', {}, Number.POSITIVE_INFINITY],
    [
      'none in version 2',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n' },
      Number.POSITIVE_INFINITY,
    ],
    [
      'that of a container',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '250000 100000\n' },
      2.5,
    ],
    [
      'that of a container which sees the path outside it',
      { 'proc/self/cgroup': '0::/kubepods/pod1/c1\n', 'sys/fs/cgroup/cpu.max': '250000 100000\n' },
      2.5,
    ],
    [
      'the least of a service and the slices around it',
      {
        'proc/self/cgroup': '0::/system.slice/glyphmill.service\n',
        'sys/fs/cgroup/system.slice/cpu.max': '150000 100000\n',
        'sys/fs/cgroup/system.slice/glyphmill.service/cpu.max': '300000 100000\n',
      },
      1.5,
    ],
    [
      'none in version 1',
      {
        'proc/self/cgroup': '4:cpu,cpuacct:/\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      Number.POSITIVE_INFINITY,
    ],
    [
      'that of a service in version 1',
      {
        'proc/self/cgroup': '9:name=systemd:/\n4:cpu,cpuacct:/app\n',
        'sys/fs/cgroup/cpu/app/cpu.cfs_quota_us': '50000\n',
        'sys/fs/cgroup/cpu/app/cpu.cfs_period_us': '100000\n',
      },
      0.5,
    ],
  ];
  for (const [what, files, cores] of quotas)
    it(`knows the quota of its cgroup: ${what}`, async () => {
      const root = await mkdtemp(join(tmpdir(), 'glyphmill-cgroup-'));
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(root, file)), { recursive: true });
        await writeFile(join(root, file), text);
      }
      assert.equal(cpuQuota(root), cores);
      await rm(root, { recursive: true });
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
