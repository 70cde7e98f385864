/**
 * The `parameters { key: "…" value { string_value: "…" } }` of config.pbtxt that Glyphmill knows; any
 * other key is an error. Lists are separated by commas.
 *
 * For every model
 *   role                   detect | recognize; needed only where the outputs do not tell it (model-outputs.ts)
 *   max_batch_pixels       most input pixels (N × H × W) in one inference call; a larger micro-batch is
 *                          run in parts; default 4,194,304
 *   intra_op_thread_count  threads of one session; default 1
 *   inter_op_thread_count  default 1
 *   enable_mem_arena       0 | 1; default 1
 *   enable_mem_pattern     0 | 1; default 1
 *
 * For role recognize
 *   color_order            BGR | RGB; default BGR
 *   mean, std              of pixels scaled to 0..1, one number each for all channels; default 0.5, 0.5
 *   height                 pixels of a line; only where the input leaves its height open (-1)
 *   width_ladder           the widths a line is padded to, ascending; only where the input leaves its
 *                          width open; default: the ladder of @glyphmill/core/widths
 *   resize                 pad | stretch; pad: a line keeps its proportions, and what is left of its width is
 *                          padded; stretch: it is resized to the one width of the ladder, whatever its
 *                          proportions; default: stretch where the input fixes its width, since clients that
 *                          must send that width resize to it, else pad
 *   decoding               ctc | steps; ctc: repeats of a class are one character, and blanks part them;
 *                          steps: each step whose best class is no blank is a character; default ctc
 *   character_threshold    confidence below which a character is left out; default 0
 *   restore_spaces         0 | 1; put back spaces between words where the paper shows them; needs ctc;
 *                          default 1 with ctc and pad, else 0, since stretching blurs what a space is
 *   classes                the model's classes, blank and space included; only, and then required, where the
 *                          outputs are the best classes (TYPE_INT32) and their scores (TYPE_FP32)
 *
 * For role detect (pixels are normalised as the PP-OCR detectors were trained: BGR, ImageNet mean and deviation)
 *   max_side               the longer side of a page at most, in pixels, after the caller scaled it down;
 *                          default 960, or less where the input fixes its sides
 *   threshold              probability at which a pixel belongs to text; default 0.3
 *   box_threshold          mean probability at which a region is kept; default 0.6
 *   unclip_ratio           how far a region grows (area × ratio ÷ perimeter); default 1.5
 *   min_side               regions with a shorter side are dropped; default 3 pixels
 */
import { defaultWidthLadder } from '@glyphmill/core/widths';
import type { ConfigText } from './config-text.ts';
import { ModelConfigError } from './model-config-error.ts';

const commonKeys = [
  'role',
  'max_batch_pixels',
  'intra_op_thread_count',
  'inter_op_thread_count',
  'enable_mem_arena',
  'enable_mem_pattern',
];
const roleKeys = {
  detect: ['max_side', 'threshold', 'box_threshold', 'unclip_ratio', 'min_side'],
  recognize: [
    'color_order',
    'mean',
    'std',
    'height',
    'width_ladder',
    'resize',
    'decoding',
    'character_threshold',
    'restore_spaces',
    'classes',
  ],
};

export interface DetectSettings {
  role: 'detect';
  /** Pixels. */
  maxSide: number;
  threshold: number;
  boxThreshold: number;
  unclipRatio: number;
  /** Pixels. */
  minSide: number;
}

export interface RecognizeSettings {
  role: 'recognize';
  colorOrder: 'BGR' | 'RGB';
  /** Of pixels scaled to 0..1. */
  mean: number;
  std: number;
  /** Pixels. */
  height: number;
  /** Pixels, ascending. */
  widthLadder: readonly number[];
  /** `stretch`: every line is resized to the ladder's one width. */
  resize: 'pad' | 'stretch';
  decoding: 'ctc' | 'steps';
  /** 0..1 */
  characterThreshold: number;
  restoresSpaces: boolean;
  /** Where the graph takes the best of them; else the output says how many there are. */
  classes: number | undefined;
}

export interface Parameters {
  settings: DetectSettings | RecognizeSettings;
  maxBatchPixels: number;
  session: { intraThreads: number; interThreads: number; memoryArena: boolean; memoryPattern: boolean };
}

/**
 * `itemDims` is [channels, height, width] of one item, -1 where open; `role` is taken where none is given. Throws
 * `ModelConfigError`.
 */
export function readParameters(
  file: string,
  entries: ConfigText['parameters'],
  { itemDims, role: fallback }: { itemDims: readonly number[]; role: 'detect' | 'recognize' | undefined },
): Parameters {
  const values = uniqueValues(file, entries);
  const read = new ParameterReader(file, values);
  const role = read.choice('role', ['detect', 'recognize'], fallback);
  const known = [...commonKeys, ...roleKeys[role]];
  for (const key of values.keys())
    if (!known.includes(key))
      throw mistake(file, key, `there is no such parameter for role ${role}`, `Known: ${known.join(', ')}`);
  return {
    settings: role === 'detect' ? detectSettings(read, itemDims) : recognizeSettings(read, itemDims),
    maxBatchPixels: read.number('max_batch_pixels', { fallback: 4_194_304, min: 1, integer: true }),
    session: {
      intraThreads: read.number('intra_op_thread_count', { fallback: 1, min: 1, max: 256, integer: true }),
      interThreads: read.number('inter_op_thread_count', { fallback: 1, min: 1, max: 256, integer: true }),
      memoryArena: read.choice('enable_mem_arena', ['0', '1'], '1') === '1',
      memoryPattern: read.choice('enable_mem_pattern', ['0', '1'], '1') === '1',
    },
  };
}

function detectSettings(read: ParameterReader, itemDims: readonly number[]): DetectSettings {
  // A page is laid on a sheet of a fixed size, turned as it is.
  const most = Math.min(8192, ...itemDims.slice(1).filter((side) => side > 0));
  return {
    role: 'detect',
    maxSide: read.number('max_side', { fallback: Math.min(960, most), min: 32, max: most, integer: true }),
    threshold: read.number('threshold', { fallback: 0.3, min: 0, max: 1 }),
    boxThreshold: read.number('box_threshold', { fallback: 0.6, min: 0, max: 1 }),
    unclipRatio: read.number('unclip_ratio', { fallback: 1.5, min: 0, max: 10 }),
    minSide: read.number('min_side', { fallback: 3, min: 0, max: 1000 }),
  };
}

function recognizeSettings(read: ParameterReader, itemDims: readonly number[]): RecognizeSettings {
  const [, height = -1, width = -1] = itemDims;
  const widthLadder =
    width > 0 ? [read.fixed('width_ladder', width)] : read.ladder('width_ladder', defaultWidthLadder);
  const resize = read.choice('resize', ['pad', 'stretch'], width > 0 ? 'stretch' : 'pad');
  if (resize === 'stretch' && widthLadder.length > 1)
    read.refuse(
      'resize',
      'stretch needs one width',
      'Give the one width that the model was trained with: width_ladder',
    );
  const decoding = read.choice('decoding', ['ctc', 'steps'], 'ctc');
  const restores = decoding === 'ctc' && resize === 'pad' ? '1' : '0';
  const restoresSpaces = read.choice('restore_spaces', ['0', '1'], restores) === '1';
  if (restoresSpaces && decoding === 'steps')
    read.refuse(
      'restore_spaces',
      'with decoding steps a character may stand for half of one',
      'Set it to 0, or decoding to ctc',
    );
  return {
    role: 'recognize',
    colorOrder: read.choice('color_order', ['BGR', 'RGB'], 'BGR'),
    mean: read.number('mean', { fallback: 0.5, min: 0, max: 1 }),
    std: read.number('std', { fallback: 0.5, min: 1e-6, max: 1 }),
    height:
      height > 0 ? read.fixed('height', height) : read.number('height', { min: 1, max: 4096, integer: true }),
    widthLadder,
    resize,
    decoding,
    characterThreshold: read.number('character_threshold', { fallback: 0, min: 0, max: 1 }),
    restoresSpaces,
    classes: read.has('classes') ? read.number('classes', { min: 3, integer: true }) : undefined,
  };
}

class ParameterReader {
  readonly #file: string;
  readonly #values: ReadonlyMap<string, string>;

  constructor(file: string, values: ReadonlyMap<string, string>) {
    this.#file = file;
    this.#values = values;
  }

  choice<const T extends string>(key: string, choices: readonly T[], fallback?: T): T {
    const text = this.#values.get(key);
    if (text === undefined && fallback !== undefined) return fallback;
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw mistake(this.#file, key, given(text), `Set it to ${choices.join(' or ')}`);
  }

  refuse(key: string, problem: string, remedy: string): never {
    throw mistake(this.#file, key, problem, remedy);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  number(key: string, rule: { fallback?: number; min: number; max?: number; integer?: boolean }): number {
    const text = this.#values.get(key);
    if (text === undefined && rule.fallback !== undefined) return rule.fallback;
    const { min, max = Number.MAX_SAFE_INTEGER } = rule;
    const value = toNumber(text);
    if (value >= min && value <= max && (!rule.integer || Number.isInteger(value))) return value;
    const kind = rule.integer ? 'a whole number' : 'a number';
    throw mistake(this.#file, key, given(text), `Set it to ${kind} from ${min} to ${max}`);
  }

  ladder(key: string, fallback: readonly number[]): readonly number[] {
    const text = this.#values.get(key);
    if (text === undefined) return fallback;
    const widths = text.split(',').map(toNumber);
    const ascends = widths.every((width, i) => Number.isInteger(width) && width > (widths[i - 1] ?? 0));
    if (ascends && widths.length <= 64) return widths;
    throw mistake(
      this.#file,
      key,
      given(text),
      'Give up to 64 whole widths in ascending order, such as 320,640',
    );
  }

  /** A value the model itself fixes: naming it again is fine when it agrees. */
  fixed(key: string, value: number): number {
    const text = this.#values.get(key);
    if (text === undefined || toNumber(text) === value) return value;
    throw mistake(this.#file, key, given(text), `Remove it: the model's input is fixed at ${value}`);
  }
}

function uniqueValues(file: string, entries: ConfigText['parameters']): Map<string, string> {
  const values = new Map<string, string>();
  for (const { key, value } of entries) {
    if (values.has(key)) throw mistake(file, key, 'it is given twice', 'Keep one');
    values.set(key, value?.string_value.trim() ?? '');
  }
  return values;
}

function toNumber(text: string | undefined): number {
  return text === undefined || text.trim() === '' ? Number.NaN : Number(text);
}

function given(text: string | undefined): string {
  return text === undefined ? 'it is missing' : `"${text}" does not fit`;
}

function mistake(file: string, key: string, problem: string, remedy: string): ModelConfigError {
  return new ModelConfigError({ file, field: `parameters.${key}`, problem, remedy });
}
