/** A character read from a line. `step` is the centre of the time steps it was read from; it may lie between two. */
export interface Character {
  readonly text: string;
  /** 0..1 */
  readonly confidence: number;
  readonly step: number;
}

/** The model gave numbers that mean nothing (NaN, an index outside the dictionary): no text can be told from them. */
export class ModelOutputError extends Error {
  override readonly name = 'ModelOutputError';
}

/** Class 0 is the blank of connectionist temporal classification (Graves et al., 2006). */
const blank = 0;

/**
 * The best class and its score for each time step of [n, steps, classes], as two [n, steps] arrays.
 * Throws ModelOutputError where a score is not a number.
 */
export function argmaxSteps(
  output: Float32Array,
  n: number,
  steps: number,
  classes: number,
): { indices: Int32Array; scores: Float32Array } {
  if (output.length !== n * steps * classes) {
    throw new ModelOutputError(`expected ${n}×${steps}×${classes} scores, got ${output.length}`);
  }
  const indices = new Int32Array(n * steps);
  const scores = new Float32Array(n * steps);
  for (let row = 0; row < n * steps; row++) {
    const start = row * classes;
    let best = Number.NEGATIVE_INFINITY;
    let index = 0;
    for (let i = 0; i < classes; i++) {
      const score = output[start + i] ?? 0;
      // "Not at most" lets NaN in, so that one comparison per score also finds those.
      if (!(score <= best)) {
        if (Number.isNaN(score)) throw notANumber(row, steps);
        best = score;
        index = i;
      }
    }
    indices[row] = index;
    scores[row] = best;
  }
  return { indices, scores };
}

/** The best class of each step and its score, of which `steps` from `offset` on are the line's. */
export interface LineSteps {
  readonly indices: ArrayLike<number>;
  readonly scores: ArrayLike<number>;
  readonly offset: number;
  readonly steps: number;
}

/**
 * Characters of one line: repeats are collapsed, blanks dropped. A character's confidence is its best step's.
 * Throws ModelOutputError for a class outside the dictionary or a score that is not a number.
 */
export function decodeCtc(line: LineSteps, dictionary: readonly string[]): Character[] {
  const characters: Character[] = [];
  const { indices, offset, steps } = line;
  let first = 0;
  let best = 0;
  for (let step = 0; step < steps; step++) {
    const { index, score, text } = stepAt(line, step, dictionary);
    if (step === 0 || index !== indices[offset + step - 1]) {
      first = step;
      best = 0;
    }
    best = Math.max(best, score);
    const ends = step + 1 === steps || indices[offset + step + 1] !== index;
    if (ends && index !== blank) characters.push({ text, confidence: best, step: (first + step) / 2 });
  }
  return characters;
}

/** As `decodeCtc`, but each step whose best class is no blank is a character of its own. */
export function decodeSteps(line: LineSteps, dictionary: readonly string[]): Character[] {
  const characters: Character[] = [];
  for (let step = 0; step < line.steps; step++) {
    const { index, score, text } = stepAt(line, step, dictionary);
    if (index !== blank) characters.push({ text, confidence: score, step });
  }
  return characters;
}

function stepAt({ indices, scores, offset, steps }: LineSteps, step: number, dictionary: readonly string[]) {
  const index = indices[offset + step];
  const score = scores[offset + step];
  if (score === undefined || Number.isNaN(score)) throw notANumber(step, steps);
  const text = index === undefined ? undefined : dictionary[index];
  if (index === undefined || text === undefined)
    throw new ModelOutputError(`expected a class below ${dictionary.length} at step ${step}, got ${index}`);
  return { index, score, text };
}

/** Mean confidence of the characters, 0 where there are none. */
export function meanConfidence(characters: readonly { readonly confidence: number }[]): number {
  if (characters.length === 0) return 0;
  return characters.reduce((sum, { confidence }) => sum + confidence, 0) / characters.length;
}

/**
 * The classes' texts: the blank (empty), one line of `text` each, then the space, which the published lists leave out.
 * Throws RangeError where that does not give `classes` entries.
 */
export function loadDictionary(text: string, classes: number): string[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  if (lines.at(-1) === '') lines.pop();
  const dictionary = ['', ...lines, ' '];
  if (dictionary.length !== classes) {
    throw new RangeError(
      `expected a dictionary of ${classes - 2} lines for ${classes} classes (blank and space included), got ${lines.length}`,
    );
  }
  return dictionary;
}

function notANumber(row: number, steps: number): ModelOutputError {
  return new ModelOutputError(
    `expected scores, got NaN in line ${Math.floor(row / steps)} at step ${row % steps}`,
  );
}
