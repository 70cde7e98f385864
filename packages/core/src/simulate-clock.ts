import { BatchHeap, type HeapEntry } from './batch-heap.ts';
import type { Batch, Batcher, DropReason, Item } from './batcher.ts';

/** What a virtual clock plays to a batcher. Times in µs; both lists ascending. */
export interface Play<T> {
  batcher: Batcher<T>;
  arrivals: readonly { atUs: number; item: Item<T> }[];
  cancels: readonly { atUs: number; id: string }[];
  /** How long a batch occupies its instance. */
  serviceUs: (batch: Batch<T>) => number;
  onStart: (batch: Batch<T>, doneUs: number) => void;
  onDrop: (item: Item<T>, why: DropReason, atUs: number) => void;
}

interface Run extends HeapEntry {
  doneUs: number;
  instance: number;
}

/** Plays everything to its end and returns the time of the last event; 0 when there was none. */
export function playTrace<T>(play: Play<T>): number {
  const { batcher, arrivals, cancels } = play;
  const runs = new BatchHeap<Run>((a, b) =>
    a.doneUs === b.doneUs ? a.instance < b.instance : a.doneUs < b.doneUs,
  );
  let nextArrival = 0;
  let nextCancel = 0;
  let lastUs = 0;
  for (;;) {
    const nowUs = Math.min(
      runs.peek()?.doneUs ?? Infinity,
      arrivals[nextArrival]?.atUs ?? Infinity,
      cancels[nextCancel]?.atUs ?? Infinity,
      batcher.wakeAtUs ?? Infinity,
    );
    if (nowUs === Infinity) return lastUs;
    lastUs = nowUs;
    const completions: number[] = [];
    for (let run = runs.peek(); run !== undefined && run.doneUs === nowUs; run = runs.peek()) {
      runs.remove(run);
      completions.push(run.instance);
    }
    const arrived: Item<T>[] = [];
    for (let next = arrivals[nextArrival]; next?.atUs === nowUs; next = arrivals[nextArrival]) {
      arrived.push(next.item);
      nextArrival += 1;
    }
    const canceled: string[] = [];
    for (let next = cancels[nextCancel]; next?.atUs === nowUs; next = cancels[nextCancel]) {
      canceled.push(next.id);
      nextCancel += 1;
    }
    // Deadlines act last: only when nothing else is left at this instant.
    const quiet = completions.length + arrived.length + canceled.length === 0;
    const effects = quiet
      ? batcher.wake(nowUs)
      : batcher.advance({ completions, arrivals: arrived, cancels: canceled }, nowUs);
    for (const effect of effects) {
      if (effect.type === 'drop') {
        play.onDrop(effect.item, effect.why, nowUs);
        continue;
      }
      const doneUs = nowUs + play.serviceUs(effect.batch);
      runs.push({ heapIndex: -1, doneUs, instance: effect.batch.instance });
      play.onStart(effect.batch, doneUs);
    }
  }
}
