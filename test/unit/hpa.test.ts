// The worked examples of the Kubernetes documentation (Horizontal Pod Autoscaling: algorithm details, configurable scaling
// behavior) and of KEP-853, played against our model of it; and what must hold of it whatever happens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createHpa,
  defaultRules,
  desiredReplicas,
  type HpaOptions,
  type MetricReading,
  type ScalingPolicy,
  type ScalingRules,
} from '@glyphmill/core/hpa';
import fc from 'fast-check';

const tolerance = 0.1;
const at = (value: number, target: number): MetricReading => ({ type: 'Value', value, target });
const divided = (total: number, target: number): MetricReading => ({ type: 'AverageValue', total, target });

test('200m where 100m is desired doubles the replicas, 50m halves them', () => {
  assert.equal(desiredReplicas(4, at(200, 100), { tolerance }), 8);
  assert.equal(desiredReplicas(4, at(50, 100), { tolerance }), 2);
  assert.equal(desiredReplicas(3, at(50, 100), { tolerance }), 2, 'the result is rounded up');
});

test('a ratio within the tolerance changes nothing, one beyond it does', () => {
  assert.equal(desiredReplicas(10, at(110, 100), { tolerance }), 10);
  assert.equal(desiredReplicas(10, at(90, 100), { tolerance }), 10);
  assert.equal(desiredReplicas(10, at(111, 100), { tolerance }), 12);
  assert.equal(desiredReplicas(10, at(89, 100), { tolerance }), 9);
});

test('an AverageValue is divided among the replicas: how many there are decides only whether it is near enough', () => {
  assert.equal(desiredReplicas(1, divided(1000, 100), { tolerance }), 10);
  assert.equal(desiredReplicas(7, divided(1000, 100), { tolerance }), 10);
  assert.equal(
    desiredReplicas(11, divided(1000, 100), { tolerance }),
    11,
    '0.91 of the target is near enough',
  );
  assert.equal(desiredReplicas(3, divided(0, 100), { tolerance }), 0);
});

const off: ScalingRules = { stabilizationWindowSeconds: 0, policies: [], selectPolicy: 'Disabled' };
const rules = (policies: ScalingPolicy[], changes: Partial<ScalingRules> = {}): ScalingRules => ({
  stabilizationWindowSeconds: 0,
  policies,
  selectPolicy: 'Max',
  ...changes,
});
const pods = (value: number, periodSeconds = 60): ScalingPolicy => ({ type: 'Pods', value, periodSeconds });
const percent = (value: number, periodSeconds = 60): ScalingPolicy => ({
  type: 'Percent',
  value,
  periodSeconds,
});

/** The replicas after each sync, so many seconds apart, with a target that the metric asks for all the time. */
function play(
  options: Partial<HpaOptions>,
  { from, towards, syncs, every = 60 }: { from: number; towards: number; syncs: number; every?: number },
): number[] {
  const hpa = createHpa({
    minReplicas: 1,
    maxReplicas: 10_000,
    tolerance,
    scaleUp: off,
    scaleDown: off,
    ...options,
  });
  let replicas = from;
  return Array.from({ length: syncs }, (_, index) => {
    replicas = hpa.sync({ seconds: index * every, replicas, metric: divided(towards * 100, 100) });
    return replicas;
  });
}

test('from 80 replicas to 10 with 4 pods or 10 percent a minute: 8, 8, 7 … and below 40 four at a time', () => {
  const scaleDown = rules([pods(4), percent(10)]);
  assert.deepEqual(
    play({ scaleDown }, { from: 80, towards: 10, syncs: 16 }),
    [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10, 10, 10],
  );
});

test('a policy counts what was removed within its period, however often it is asked', () => {
  const scaleDown = rules([percent(10)]);
  assert.deepEqual(
    play({ scaleDown }, { from: 80, towards: 10, syncs: 9, every: 15 }),
    [72, 72, 72, 72, 64, 64, 64, 64, 57],
  );
});

test('with selectPolicy Min no more than 5 pods go in a minute, although 10 percent would be more', () => {
  const scaleDown = rules([percent(10), pods(5)], { selectPolicy: 'Min' });
  assert.deepEqual(play({ scaleDown }, { from: 80, towards: 10, syncs: 4 }), [75, 70, 65, 60]);
});

test('with selectPolicy Disabled nothing is removed', () => {
  const scaleDown = rules([percent(10)], { selectPolicy: 'Disabled' });
  assert.deepEqual(play({ scaleDown }, { from: 80, towards: 10, syncs: 3 }), [80, 80, 80]);
});

test('as fast as possible, 900 percent: 1, 10, 100, 1000', () => {
  const scaleUp = rules([percent(900, 15)]);
  assert.deepEqual(play({ scaleUp }, { from: 1, towards: 1000, syncs: 3, every: 15 }), [10, 100, 1000]);
});

test('one pod a minute: 1, 2, 3, 4', () => {
  const scaleUp = rules([pods(1)]);
  assert.deepEqual(play({ scaleUp }, { from: 1, towards: 1000, syncs: 3 }), [2, 3, 4]);
});

test('by default replicas double, or four are added where that is more, every 15 seconds', () => {
  assert.deepEqual(
    play({ scaleUp: defaultRules.scaleUp }, { from: 1, towards: 50, syncs: 6, every: 15 }),
    [5, 10, 20, 40, 50, 50],
  );
});

test('by default all are removed at once, but only after the highest recommendation of five minutes is over', () => {
  const hpa = createHpa({ minReplicas: 1, maxReplicas: 100, tolerance, ...defaultRules });
  let replicas = 10;
  const seen = [];
  for (let seconds = 0; seconds <= 420; seconds += 15) {
    replicas = hpa.sync({ seconds, replicas, metric: divided(seconds < 60 ? 1000 : 100, 100) });
    seen.push(replicas);
  }
  assert.equal(seen[(330 - 15) / 15], 10, 'ten were asked for at 45 s');
  assert.equal(seen[345 / 15], 1);
});

test('a scale-up window takes the lowest recommendation within it: a spike adds nothing', () => {
  const scaleUp = rules([percent(900, 15)], { stabilizationWindowSeconds: 60 });
  const hpa = createHpa({ minReplicas: 1, maxReplicas: 100, tolerance, scaleUp, scaleDown: off });
  const asked = [1, 50, 1, 50, 50, 50, 50];
  let replicas = 1;
  const seen = asked.map((wanted, index) => {
    replicas = hpa.sync({ seconds: index * 15, replicas, metric: divided(wanted * 100, 100) });
    return replicas;
  });
  assert.deepEqual(seen, [1, 1, 1, 1, 1, 1, 10]);
});

const anyPolicy = fc.record({
  type: fc.constantFrom('Pods' as const, 'Percent' as const),
  value: fc.integer({ min: 1, max: 200 }),
  periodSeconds: fc.integer({ min: 1, max: 20 }).map((periods) => periods * 15),
});
const anyRules: fc.Arbitrary<ScalingRules> = fc.record({
  stabilizationWindowSeconds: fc.integer({ min: 0, max: 40 }).map((periods) => periods * 15),
  policies: fc.array(anyPolicy, { minLength: 1, maxLength: 3 }),
  selectPolicy: fc.constantFrom('Max' as const, 'Min' as const, 'Disabled' as const),
});

test('whatever is asked for: within the bounds, and never against what the metric asks for', () => {
  fc.assert(
    fc.property(
      anyRules,
      anyRules,
      fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 80 }),
      (scaleUp, scaleDown, wishes) => {
        const options = { minReplicas: 2, maxReplicas: 200, tolerance, scaleUp, scaleDown };
        const hpa = createHpa(options);
        let replicas = 10;
        for (const [index, wish] of wishes.entries()) {
          const before = replicas;
          replicas = hpa.sync({ seconds: index * 15, replicas, metric: divided(wish * 100, 100) });
          assert.ok(replicas >= 2 && replicas <= 200);
          if (replicas > before) assert.ok(wish > before && scaleUp.selectPolicy !== 'Disabled');
          if (replicas < before) assert.ok(wish < before && scaleDown.selectPolicy !== 'Disabled');
        }
      },
    ),
  );
});

test('what a single policy of pods allows is never exceeded in any of its periods', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 60 }),
      (most, periods, wishes) => {
        const policy = rules([pods(most, periods * 15)]);
        const hpa = createHpa({
          minReplicas: 1,
          maxReplicas: 100,
          tolerance,
          scaleUp: policy,
          scaleDown: off,
        });
        let replicas = 1;
        const seen = wishes.map((wish, index) => {
          replicas = hpa.sync({ seconds: index * 15, replicas, metric: divided(wish * 100, 100) });
          return replicas;
        });
        const all = [1, ...seen];
        for (let index = 0; index + periods < all.length; index += 1) {
          assert.ok((all[index + periods] ?? 0) - (all[index] ?? 0) <= most);
        }
      },
    ),
  );
});
