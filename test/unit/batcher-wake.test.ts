import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batcher, type Effect } from '@glyphmill/core/batcher';
import { simulate } from '@glyphmill/core/simulate';
import type { Trace } from '@glyphmill/core/simulate-trace';
import { randomTrace } from './batcher-random.ts';

const POLLED_TRACES = 2_000;

for (const bucketing of [false, true]) {
  const mode = bucketing ? 'with buckets' : "in Triton's order";

  test(`waking only at wakeAtUs is the same as waking every microsecond ${mode}`, () => {
    for (let seed = 0; seed < POLLED_TRACES; seed += 1) {
      const trace = randomTrace(seed, 1);
      const bucketed = { ...trace, options: { ...trace.options, bucketing } };
      const { batches, dropped } = simulate(bucketed);
      assert.deepEqual(polled(bucketed), { batches, dropped }, `seed ${seed}`);
    }
  });
}

/** The trace's outcome when wake() is called in every microsecond instead of at wakeAtUs. */
function polled(trace: Trace): unknown {
  const batcher = new Batcher<unknown>(trace.options);
  const batches: unknown[] = [];
  const dropped: unknown[] = [];
  const done: { atUs: number; instance: number }[] = [];
  const names = { timeout: 'TIMEOUT', 'queue-full': 'QUEUE_FULL', canceled: 'CANCELLED' };
  const endUs = 20_000;
  for (let nowUs = 0; nowUs < endUs; nowUs += 1) {
    const apply = (effects: Effect<unknown>[]) => {
      for (const effect of effects) {
        if (effect.type === 'drop') {
          dropped.push({ id: effect.item.value, t: nowUs, why: names[effect.why] });
          continue;
        }
        const { size, items, instance } = effect.batch;
        batches.push({ t: nowUs, size, ids: items.map(({ value }) => value) });
        done.push({ atUs: nowUs + trace.svc[0] + trace.svc[1] * size, instance });
      }
    };
    const completions = () =>
      done.splice(0).flatMap((run) => {
        if (run.atUs === nowUs) return [run.instance];
        done.push(run);
        return [];
      });
    const arrivals = trace.arrivals
      .filter(({ t }) => t === nowUs)
      .map(({ id, batch, priority, timeoutUs, shape }) => {
        const key = trace.enforceEqualShape ? String(shape) : 'any';
        return { id: String(id), value: id, key, weight: batch, priority, timeoutUs };
      });
    const cancels = trace.cancels.filter(({ t }) => t === nowUs).map(({ id }) => String(id));
    const completed = completions();
    if (completed.length + arrivals.length + cancels.length > 0) {
      apply(batcher.advance({ completions: completed, arrivals, cancels }, nowUs));
    }
    for (let more = completions(); more.length > 0; more = completions()) {
      apply(batcher.advance({ completions: more }, nowUs));
    }
    apply(batcher.wake(nowUs));
    for (let more = completions(); more.length > 0; more = completions()) {
      apply(batcher.advance({ completions: more }, nowUs));
    }
    const last = trace.arrivals.every(({ t }) => t < nowUs) && trace.cancels.every(({ t }) => t < nowUs);
    if (last && done.length === 0 && batcher.waiting === 0) break;
  }
  return { batches, dropped };
}
