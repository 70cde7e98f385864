import type { ModelConfig } from './model-config.ts';

/** How many items one inference call takes, where each has `pixels`: never more than max_batch_pixels says. */
export interface BatchShapes {
  most(pixels: number): number;
  /** Rows of the tensor for so many items, `most` at most: as many, or on a GPU the next size that was warmed. */
  rows(items: number, pixels: number): number;
  /** All that `rows` can be, where that is few. */
  warmed(pixels: number): readonly number[];
}

/** On a GPU the preferred sizes and the largest: each shape of a tensor costs hundreds of milliseconds once. */
export function batchShapes(
  { maxBatchSize, maxBatchPixels, batching }: ModelConfig,
  provider: 'cpu' | 'cuda',
): BatchShapes {
  const largest = Math.max(1, maxBatchSize);
  const most = (pixels: number) => Math.max(1, Math.min(largest, Math.floor(maxBatchPixels / pixels)));
  const warmed = (pixels: number) => {
    if (provider === 'cpu') return [];
    const sizes = [...batching.preferredBatchSizes, largest].map((size) => Math.min(size, most(pixels)));
    return [...new Set(sizes)].sort((a, b) => a - b);
  };
  return {
    most,
    warmed,
    rows: (items, pixels) => warmed(pixels).find((size) => size >= items) ?? items,
  };
}
