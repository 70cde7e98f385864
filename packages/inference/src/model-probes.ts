import { seededUniform } from '@glyphmill/core/simulate-random';
import type { ModelConfig } from './model-config.ts';
import { smallest } from './session.ts';

/** An input tensor: [n, 3, height, width]. */
export interface Probe {
  data: Float32Array;
  dims: number[];
}

/** How many inputs of strokes there are: a recogniser of 320 pixels takes 40 steps for each. */
const strokeProbes = 12;
/** Of a page, where the model leaves that open. */
const pageSide = 320;

/** Inputs to try a model with, the same every time: noise in its smallest shape and as two items, then strokes. */
export function probes(config: ModelConfig): Probe[] {
  const [, channels = 3, height = 32, width = 32] = smallest(config);
  const { settings, maxBatchSize, input } = config;
  const [openHeight = -1, openWidth = -1] = input.dims.slice(-2);
  const isLine = settings.role === 'recognize';
  const wide = isLine ? widthNear(settings.widthLadder, 320) : openWidth > 0 ? openWidth : pageSide;
  const high = isLine || openHeight > 0 ? height : pageSide;
  const items = Math.min(2, Math.max(1, maxBatchSize));
  return [
    noise([1, channels, height, width]),
    noise([items, channels, high, wide]),
    ...Array.from({ length: isLine ? strokeProbes : 2 }, (_, i) => strokes(high, wide, i + 1)),
  ];
}

function widthNear(ladder: readonly number[], wanted: number): number {
  return ladder.find((width) => width >= wanted) ?? ladder.at(-1) ?? wanted;
}

/** Numbers of a normalised image. */
function noise(dims: number[]): Probe {
  const size = dims.reduce((a, b) => a * b);
  return { data: Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + i * i)), dims };
}

/** Dark strokes on light paper, some in each square of the height of a line. */
function strokes(height: number, width: number, seed: number): Probe {
  const random = seededUniform(seed);
  const data = new Float32Array(3 * height * width).fill(0.9);
  const line = Math.min(height, 48);
  for (let top = 0; top + line <= height; top += line)
    for (let left = 0; left + line / 2 <= width; left += Math.round(line * (0.4 + 0.4 * random())))
      for (let count = 2 + Math.floor(random() * 3); count > 0; count--) {
        const from = { x: left + (random() * line) / 2, y: top + line * (0.15 + 0.7 * random()) };
        const to = { x: left + (random() * line) / 2, y: top + line * (0.15 + 0.7 * random()) };
        drawStroke({ data, height, width }, from, to, line / 16);
      }
  return { data, dims: [1, 3, height, width] };
}

interface Point {
  x: number;
  y: number;
}

function drawStroke(
  { data, height, width }: { data: Float32Array; height: number; width: number },
  from: Point,
  to: Point,
  radius: number,
): void {
  const points = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
  for (let i = 0; i <= points; i++) {
    const x = from.x + ((to.x - from.x) * i) / points;
    const y = from.y + ((to.y - from.y) * i) / points;
    for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(height - 1, y + radius); row++)
      for (
        let column = Math.max(0, Math.ceil(x - radius));
        column <= Math.min(width - 1, x + radius);
        column++
      )
        for (let plane = 0; plane < 3; plane++) data[(plane * height + row) * width + column] = -0.8;
  }
}
