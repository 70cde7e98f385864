import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadStep, type ScalingScenario, simulateScaling } from '@glyphmill/core/simulate-scaling';
import fc from 'fast-check';

const scenario: ScalingScenario = {
  load: [{ atSeconds: 0, pagesPerSecond: 1.5 }],
  seconds: 7200,
  pagesPerSecond: 1,
  targetSeconds: 120,
  podStartSeconds: 60,
  metricAgeSeconds: 15,
  syncSeconds: 15,
  initialReplicas: 1,
  hpa: {
    minReplicas: 1,
    maxReplicas: 60,
    tolerance: 0.1,
    scaleUp: {
      stabilizationWindowSeconds: 0,
      policies: [
        { type: 'Percent', value: 100, periodSeconds: 60 },
        { type: 'Pods', value: 4, periodSeconds: 60 },
      ],
      selectPolicy: 'Max',
    },
    scaleDown: {
      stabilizationWindowSeconds: 300,
      policies: [{ type: 'Pods', value: 1, periodSeconds: 120 }],
      selectPolicy: 'Max',
    },
  },
  scaleToZero: null,
};

/** Ten times the load for ten minutes, an hour after the beginning. */
const burst: LoadStep[] = [
  { atSeconds: 0, pagesPerSecond: 1.5 },
  { atSeconds: 3600, pagesPerSecond: 15 },
  { atSeconds: 4200, pagesPerSecond: 1.5 },
];

test('a burst of ten times the load is drained within the objective of ten minutes, up once and down once', () => {
  for (const podStartSeconds of [15, 60, 120, 180]) {
    for (const pagesPerSecond of [0.5, 1, 2]) {
      const seconds = 4200 + 600;
      const run = simulateScaling({ ...scenario, load: burst, seconds, podStartSeconds, pagesPerSecond });
      const what = `pods start in ${podStartSeconds} s and read ${pagesPerSecond} pages/s`;
      assert.ok(run.longestWaitSeconds <= 600, `${run.longestWaitSeconds} s: ${what}`);
      const before = run.samples.filter(({ atSeconds }) => atSeconds < 3600).at(-1)?.replicas ?? 0;
      const during = run.samples.filter(({ atSeconds }) => atSeconds >= 3600).map(({ replicas }) => replicas);
      const peak = during.indexOf(run.peakReplicas);
      assert.ok(run.peakReplicas > before * 3, what);
      assert.deepEqual(
        during.slice(0, peak),
        during.slice(0, peak).toSorted((a, b) => a - b),
        what,
      );
      assert.deepEqual(
        during.slice(peak),
        during.slice(peak).toSorted((a, b) => b - a),
        what,
      );
      assert.ok(run.leftPages < 300, `${run.leftPages} pages left: ${what}`);
    }
  }
});

test('at an even load pages wait about as long as the target, and the replicas stay', () => {
  const run = simulateScaling({ ...scenario, load: [{ atSeconds: 0, pagesPerSecond: 7.5 }] });
  const later = run.samples.filter(({ atSeconds }) => atSeconds > 5400);
  assert.ok(later.every(({ replicas }) => replicas >= 7 && replicas <= 10));
  assert.ok(later.every(({ oldestWaitSeconds }) => oldestWaitSeconds < 180));
});

test('a document of 3,000 pages and 3,000 documents of one page get the same replicas', () => {
  const of = (documents: number, pagesPerDocument: number) =>
    simulateScaling({ ...scenario, load: [{ atSeconds: 600, pages: documents * pagesPerDocument }] }).samples;
  assert.deepEqual(of(1, 3000), of(3000, 1));
  assert.ok(Math.max(...of(1, 3000).map(({ replicas }) => replicas)) > 10);
});

test('with KEDA the last replica goes when there was nothing to do for five minutes, and comes back for the next page', () => {
  const run = simulateScaling({
    ...scenario,
    initialReplicas: 0,
    scaleToZero: { pollSeconds: 30, cooldownSeconds: 300 },
    load: [
      { atSeconds: 0, pagesPerSecond: 0 },
      { atSeconds: 1000, pages: 10 },
      { atSeconds: 3000, pages: 10 },
    ],
  });
  const at = (seconds: number) => run.samples.find(({ atSeconds }) => atSeconds >= seconds)?.replicas;
  assert.deepEqual([at(900), at(1100), at(1300), at(2900), at(3100)], [0, 1, 1, 0, 1]);
  assert.equal(run.leftPages, 0);
  assert.ok(run.longestWaitSeconds <= 30 + scenario.podStartSeconds + 10);
});

test('no page is lost or read twice, and the bill is what ran', () => {
  const anyStep = fc.record({
    atSeconds: fc.integer({ min: 0, max: 2000 }),
    pages: fc.integer({ min: 0, max: 2000 }),
  });
  fc.assert(
    fc.property(
      fc.array(anyStep, { maxLength: 6 }),
      fc.integer({ min: 0, max: 300 }),
      (load, podStartSeconds) => {
        const run = simulateScaling({ ...scenario, load, podStartSeconds });
        const arrived = load.reduce((sum, { pages }) => sum + pages, 0);
        const most =
          run.samples.reduce((sum, { readyReplicas }) => sum + readyReplicas, 0) * scenario.syncSeconds;
        assert.ok(run.leftPages >= 0 && run.leftPages <= arrived);
        assert.ok(arrived - run.leftPages <= most + scenario.hpa.maxReplicas * scenario.syncSeconds);
        assert.ok(run.peakReplicas <= scenario.hpa.maxReplicas);
        assert.ok(
          run.replicaSeconds >= scenario.seconds && run.replicaSeconds <= run.peakReplicas * scenario.seconds,
        );
        if (arrived < 10_000) assert.equal(run.leftPages, 0, 'two hours are enough');
      },
    ),
    { numRuns: 40 },
  );
});
