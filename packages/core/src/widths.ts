/**
 * Tensor widths that line crops are padded to, in pixels at the recogniser's height of 48. One line's width decides
 * its rung, never its neighbours', so a line reads the same alone and in any batch; few rungs mean full batches and,
 * on a GPU, few shapes to warm. Steps grow with the width so that padding stays below a fifth of wide lines.
 */
export const defaultWidthLadder: readonly number[] = [
  64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 768, 896, 1024, 1280, 1536, 1920, 2560,
];

/** The narrowest rung that holds `width`; the last rung for wider lines, which must be squeezed into it. */
export function ladderWidth(width: number, ladder: readonly number[]): number {
  const last = ladder.at(-1);
  if (last === undefined) throw new RangeError('expected a ladder of widths, got an empty one');
  return ladder.find((rung) => rung >= width) ?? last;
}

/** Throws RangeError unless the ladder holds rising positive integers. */
export function assertLadder(ladder: readonly number[]): void {
  const rising = ladder.every((rung, i) => Number.isInteger(rung) && rung > (ladder[i - 1] ?? 0));
  if (ladder.length === 0 || !rising) {
    throw new RangeError(`expected rising positive widths, got [${ladder.join(', ')}]`);
  }
}
