/** Pixels of a page: RGB, 8 bits a channel, interleaved, row after row without gaps (stride = width × 3). */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Throws RangeError unless the sides are positive integers and the data are exactly width × height × 3 bytes. */
export function assertRgbImage({ width, height, data }: RgbImage): void {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`expected an image with positive sides, got ${width}×${height}`);
  }
  if (data.length !== width * height * 3) {
    throw new RangeError(
      `expected ${width * height * 3} bytes for ${width}×${height} RGB, got ${data.length}`,
    );
  }
}
