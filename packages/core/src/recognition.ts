import type { LineCrop } from './rectify.ts';

/** How pixels become the recogniser's numbers: (value − mean) ÷ deviation, planes in `order`. */
export interface LineNormalization {
  readonly order: 'bgr' | 'rgb';
  readonly mean: number;
  readonly deviation: number;
}

/** What PP-OCR recognisers were trained with: BGR in −1..1. */
const defaultLineNormalization: LineNormalization = { order: 'bgr', mean: 127.5, deviation: 127.5 };

export interface PackOptions {
  readonly normalization?: LineNormalization;
  /** Rows of the batch; rows beyond the crops stay 0. Default: one row per crop. */
  readonly rows?: number;
}

/**
 * The recogniser's input [rows, 3, height, width]. Crops stand at the left; what remains on the right is the
 * normalised 0, which these models were trained with (padding with white costs accuracy).
 * Throws RangeError for crops of different heights, wider than `width`, or more than `rows`.
 */
export function packLines(
  crops: readonly LineCrop[],
  width: number,
  options: PackOptions = {},
): Float32Array {
  const { normalization = defaultLineNormalization, rows = crops.length } = options;
  const height = crops[0]?.height ?? 0;
  if (rows < crops.length) throw new RangeError(`expected at most ${rows} crops, got ${crops.length}`);
  const table = Float32Array.from(
    { length: 256 },
    (_, value) => (value - normalization.mean) / normalization.deviation,
  );
  const tensor = new Float32Array(rows * 3 * height * width);
  for (const [row, crop] of crops.entries()) {
    assertFits(crop, width, height);
    for (let plane = 0; plane < 3; plane++) {
      const channel = normalization.order === 'bgr' ? 2 - plane : plane;
      packPlane(crop, channel, table, tensor, (row * 3 + plane) * height * width, width);
    }
  }
  return tensor;
}

function packPlane(
  crop: LineCrop,
  channel: number,
  table: Float32Array,
  tensor: Float32Array,
  start: number,
  stride: number,
): void {
  const { width, height, data } = crop;
  let source = channel;
  for (let y = 0; y < height; y++) {
    const row = start + y * stride;
    for (let x = 0; x < width; x++, source += 3) tensor[row + x] = table[data[source] ?? 0] ?? 0;
  }
}

function assertFits(crop: LineCrop, width: number, height: number): void {
  if (crop.height !== height) throw new RangeError(`expected crops of height ${height}, got ${crop.height}`);
  if (crop.width > width) throw new RangeError(`expected crops at most ${width} wide, got ${crop.width}`);
  if (crop.data.length !== crop.width * crop.height * 3) {
    throw new RangeError(`expected ${crop.width * crop.height * 3} bytes of crop, got ${crop.data.length}`);
  }
}
