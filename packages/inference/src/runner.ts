import type { ImageBytes } from './instance-messages.ts';

/** Seconds of one micro-batch: making tensors, inference, reading the outputs. */
export interface RunSeconds {
  packSeconds: number;
  inferSeconds: number;
  postSeconds: number;
}

/** What an instance does with a micro-batch; one output per item, in order. Throws for the whole micro-batch. */
export interface Runner {
  /** Entries of the dictionary, 0 for a detector. */
  labels: number;
  run(items: readonly ImageBytes[], width: number): Promise<{ outputs: unknown[]; seconds: RunSeconds }>;
}

/** Adds up the time between its calls, in seconds. */
export function stopwatch(): (add: (seconds: number) => void) => void {
  let last = performance.now();
  return (add) => {
    const now = performance.now();
    add((now - last) / 1000);
    last = now;
  };
}
