/**
 * Share of characters wrong: the edit distance (Levenshtein 1966; insertions, deletions, substitutions of code
 * points) from `read` to `truth`, divided by the length of `truth`. 0 is perfect; more than 1 is possible when
 * more was read than is there. Runs of whitespace count as one space and those at the ends do not count.
 * Of an empty truth everything read is wrong: 0 when nothing was read, else 1.
 */
export function characterErrorRate(truth: string, read: string): number {
  const expected = codePoints(truth);
  const actual = codePoints(read);
  if (expected.length === 0) return actual.length === 0 ? 0 : 1;
  return editDistance(expected, actual) / expected.length;
}

/**
 * Agreement of words as multisets, from 0 to 1: twice the words in common over the words of both texts.
 * Order does not count, so it tells misread words from well read words in another order. Two empty texts agree.
 */
export function wordF1(truth: string, read: string): number {
  const expected = words(truth);
  const actual = words(read);
  if (expected.length + actual.length === 0) return 1;
  const left = new Map<string, number>();
  for (const word of expected) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of actual) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    common++;
  }
  return (2 * common) / (expected.length + actual.length);
}

function words(text: string): string[] {
  return text.split(/\s+/u).filter((word) => word !== '');
}

function codePoints(text: string): Uint32Array {
  return Uint32Array.from(words(text).join(' '), (character) => character.codePointAt(0) ?? 0);
}

/** Two rows of the usual table, so that pages of thousands of characters need kilobytes and not megabytes. */
function editDistance(a: Uint32Array, b: Uint32Array): number {
  let above = Uint32Array.from({ length: b.length + 1 }, (_, column) => column);
  let row = new Uint32Array(b.length + 1);
  for (let i = 1; i <= a.length; i++) {
    const wanted = a[i - 1];
    let left = i;
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (b[j - 1] === wanted ? 0 : 1);
      left = Math.min(replaced, (above[j] ?? 0) + 1, left + 1);
      row[j] = left;
    }
    [above, row] = [row, above];
  }
  return above[b.length] ?? 0;
}
