/** Thrown for a range that names a page the document does not have. */
export class PageRangeError extends Error {
  override readonly name = 'PageRangeError';
}

/**
 * The pages that `range` ("1-3,7") selects of a document with `total` pages, ascending, each once;
 * all of them without a range. Throws PageRangeError.
 */
export function selectPages(range: string | undefined, total: number): number[] {
  if (range === undefined) return Array.from({ length: total }, (_, index) => index + 1);
  const selected = new Set<number>();
  for (const part of range.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    if (first < 1 || last < first || last > total) {
      throw new PageRangeError(`Pages "${part}" were asked for, but the document has pages 1 to ${total}.`);
    }
    for (let page = first; page <= last; page += 1) selected.add(page);
  }
  return [...selected].sort((a, b) => a - b);
}
