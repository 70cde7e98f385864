/** A stage in the reading of a page. */
export type Stage = 'decode' | 'detect' | 'crop' | 'recognize' | 'assemble';

/** Told of each stage as it begins, while somebody wants to know. */
export interface StageObserver {
  begin(stage: Stage, page: number | null): OpenStage;
}

export interface OpenStage {
  /** Names the stage to the micro-batches that run its items. */
  readonly owner: string | null;
  /** `microBatches`: those that its items were in. */
  end(microBatches?: readonly string[]): void;
}

/** Does `work` as a stage of a page, and tells the observer, if there is one, of its end, whatever that is. */
export async function inStage<T>(
  observer: StageObserver | undefined,
  { stage, page }: { stage: Stage; page: number | null },
  work: (running: { owner?: string; ranIn: (microBatch: string) => void }) => Promise<T>,
): Promise<T> {
  if (observer === undefined) return work(unobserved);
  const open = observer.begin(stage, page);
  const microBatches = new Set<string>();
  try {
    return await work({
      ...(open.owner === null ? {} : { owner: open.owner }),
      ranIn: (microBatch) => microBatches.add(microBatch),
    });
  } finally {
    open.end([...microBatches]);
  }
}

const unobserved = { ranIn: () => {} };
