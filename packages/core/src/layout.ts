import { type Quad, quadBounds } from './geometry.ts';

/**
 * Lines in reading order, grouped by the visual row they stand in, each row from left to right.
 */
export function orderLines<T extends { readonly quad: Quad }>(
  lines: readonly T[],
  page: { readonly width: number; readonly height: number },
): T[][] {
  void page;
  const boxes = lines.map((line) => ({ line, ...quadBounds(line.quad) }));
  boxes.sort((a, b) => a.top + a.bottom - b.top - b.bottom || a.left - b.left);
  const rows: (typeof boxes)[] = [];
  for (const box of boxes) {
    const row = rows.at(-1);
    const last = row?.at(-1);
    if (row && last && (box.top + box.bottom) / 2 < last.bottom - 0.3 * (last.bottom - last.top))
      row.push(box);
    else rows.push([box]);
  }
  return rows.map((row) => row.sort((a, b) => a.left - b.left).map(({ line }) => line));
}

/** The page's text: cells of a row joined by a space, rows by a line feed, empty ones left out. */
export function pageText(rows: readonly (readonly { readonly text: string }[])[]): string {
  const texts = rows.map((row) =>
    row
      .map(({ text }) => text)
      .filter((text) => text !== '')
      .join(' '),
  );
  return texts.filter((text) => text !== '').join('\n');
}
