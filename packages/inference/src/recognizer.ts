import {
  argmaxSteps,
  decodeCtc,
  decodeSteps,
  type LineSteps,
  loadDictionary,
  ModelOutputError,
} from '@glyphmill/core/ctc';
import { type LineNormalization, packLines } from '@glyphmill/core/recognition';
import { type Reading, readingOf, restoreSpaces } from '@glyphmill/core/spacing';
import type { InferenceSession } from 'onnxruntime-node';
import { type BatchShapes, batchShapes } from './batch-shapes.ts';
import type { ImageBytes } from './instance-messages.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelConfigError } from './model-config-error.ts';
import { ModelError } from './model-error.ts';
import type { RecognizeSettings } from './model-parameters.ts';
import { settleProbabilities } from './probabilities.ts';
import { type Runner, stopwatch } from './runner.ts';
import { infer } from './session.ts';

interface Recognizer {
  session: InferenceSession;
  config: ModelConfig;
  settings: RecognizeSettings;
  dictionary: readonly string[];
  /** Rows beyond the lines of a micro-batch are blank. */
  shapes: BatchShapes;
}

/** What the model says of some lines: every class's score, or the best classes and theirs. */
interface LineScores {
  /** [n, steps, classes], or with `indices` [n, steps]. */
  data: Float32Array;
  indices: Int32Array | undefined;
  steps: number;
  classes: number;
}

/**
 * Lines of one width bucket → their readings. Warm when it resolves: on a GPU every shape that is run was run once, at
 * every width of the ladder.
 * `labelText` is the dictionary file. Throws `ModelConfigError` where it does not fit the model's classes.
 */
export async function openRecognizer(options: {
  session: InferenceSession;
  config: ModelConfig;
  settings: RecognizeSettings;
  provider: 'cpu' | 'cuda';
  labelText: string;
  labelPath: string;
}): Promise<Runner> {
  const { session, config, settings, provider, labelText, labelPath } = options;
  const [narrowest = 64] = settings.widthLadder;
  const first = await inferLines(options, new Float32Array(3 * settings.height * narrowest), 1, narrowest);
  const dictionary = fittingDictionary(labelText, labelPath, first.classes);
  const shapes = batchShapes(config, provider);
  const recognizer = { session, config, settings, dictionary, shapes };
  await warmUp(recognizer);
  return { labels: dictionary.length, run: (lines, width) => recognize(recognizer, lines, width) };
}

/** On a CPU a shape costs no more when it is new (measured: 16 ms and 16 ms at 320 pixels), but for the very first. */
async function warmUp(recognizer: Recognizer): Promise<void> {
  const { config, settings, shapes } = recognizer;
  const { height, widthLadder } = settings;
  const runs = widthLadder.flatMap((width) =>
    shapes.warmed(height * width).map((rows) => ({ width, rows, count: 1 })),
  );
  for (const { batchSize, dims, count } of config.warmups) {
    const width = dims[2] ?? height;
    const rows = shapes.rows(Math.min(batchSize, shapes.most(height * width)), height * width);
    runs.push({ width, rows, count });
  }
  for (const { width, rows, count } of runs)
    for (let i = 0; i < count; i++)
      await inferLines(recognizer, new Float32Array(rows * 3 * height * width), rows, width);
}

async function recognize(recognizer: Recognizer, lines: readonly ImageBytes[], width: number) {
  const { settings, shapes } = recognizer;
  const seconds = { packSeconds: 0, inferSeconds: 0, postSeconds: 0 };
  const lap = stopwatch();
  const outputs: Reading[] = [];
  const pixels = settings.height * width;
  const most = shapes.most(pixels);
  for (let start = 0; start < lines.length; start += most) {
    const part = lines.slice(start, start + most);
    const rows = shapes.rows(part.length, pixels);
    const tensor = packLines(part, width, { rows, normalization: normalization(settings) });
    lap((s) => (seconds.packSeconds += s));
    const scored = await inferLines(recognizer, tensor, rows, width);
    lap((s) => (seconds.inferSeconds += s));
    const { steps } = scored;
    const { indices, scores } = bestOf(scored, part.length);
    for (const [row, line] of part.entries())
      outputs.push(readLine(recognizer, line, { indices, scores, offset: row * steps, steps }, width));
    lap((s) => (seconds.postSeconds += s));
  }
  return { outputs, seconds };
}

function readLine(
  { settings, dictionary }: Recognizer,
  line: ImageBytes,
  best: LineSteps,
  width: number,
): Reading {
  const decode = settings.decoding === 'ctc' ? decodeCtc : decodeSteps;
  const characters = decode(best, dictionary);
  const spaced = settings.restoresSpaces ? restoreSpaces(characters, line, best.steps, width) : characters;
  return readingOf(spaced.filter(({ confidence }) => confidence >= settings.characterThreshold));
}

function normalization({ colorOrder, mean, std }: RecognizeSettings): LineNormalization {
  return { order: colorOrder === 'BGR' ? 'bgr' : 'rgb', mean: mean * 255, deviation: std * 255 };
}

async function inferLines(
  { session, config, settings }: Pick<Recognizer, 'session' | 'config' | 'settings'>,
  tensor: Float32Array,
  rows: number,
  width: number,
): Promise<LineScores> {
  const { data, dims, indices } = await infer(session, config, tensor, [rows, 3, settings.height, width]);
  const [n, steps = -1, classes = settings.classes] = dims;
  const rank = indices ? 2 : 3;
  const isPair = !indices || indices.dims.join() === dims.join();
  if (dims.length === rank && n === rows && classes !== undefined && isPair)
    return { data, indices: indices?.data, steps, classes };
  const wanted = indices ? `[${rows}, steps] twice` : `[${rows}, steps, classes]`;
  const found = [dims, ...(indices ? [indices.dims] : [])].map((shape) => `[${shape.join(', ')}]`);
  throw new ModelError('bad-output', `${config.name}: expected ${wanted}, got ${found.join(' and ')}`);
}

/** The best class and its score for each step of the first `rows` lines, from either form of output. */
function bestOf({ data, indices, steps, classes }: LineScores, rows: number) {
  const best = indices
    ? { indices, scores: data.subarray(0, rows * steps) }
    : argmaxSteps(data.subarray(0, rows * steps * classes), rows, steps, classes);
  const wrong = settleProbabilities(best.scores);
  if (wrong === undefined) return best;
  throw new ModelOutputError(`expected scores from 0 to 1, got ${wrong}`);
}

function fittingDictionary(text: string, file: string, classes: number): string[] {
  try {
    return loadDictionary(text, classes);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const remedy = 'Use the dictionary that the model was trained with';
    throw new ModelConfigError({ file, field: 'output.label_filename', problem, remedy }, { cause: error });
  }
}
