/** What is done with the items of a micro-batch that failed. */
export interface Regrouped<T> {
  /** Each is run again as a micro-batch of its own. */
  groups: T[][];
  /** Failed for good. */
  doomed: T[];
}

/**
 * Finds the item that fails a micro-batch by halving it, so that its neighbours are read all the same. An error of
 * the model halves at once, since it would come again; a lost instance may be the machine's doing, so the
 * micro-batch is first run once more whole, and an item alone gets `maxItemLosses` runs.
 */
export function regroup<T extends { losses: number }>(
  items: readonly T[],
  failure: 'model-error' | 'instance-lost',
  maxItemLosses: number,
): Regrouped<T> {
  const [first] = items;
  if (!first) return { groups: [], doomed: [] };
  if (items.length > 1) {
    const again = failure === 'instance-lost' && items.every(({ losses }) => losses <= 1);
    const half = Math.ceil(items.length / 2);
    return { groups: again ? [[...items]] : [items.slice(0, half), items.slice(half)], doomed: [] };
  }
  const again = failure === 'instance-lost' && first.losses < maxItemLosses;
  return again ? { groups: [[first]], doomed: [] } : { groups: [], doomed: [first] };
}
