// Shapes and not the DOM's types: this package is compiled for Node as well, and its users may have either.

/** An HTMLCanvasElement. */
export interface CanvasLike {
  width: number;
  height: number;
  toBlob(callback: (blob: Blob | null) => void, type?: string, quality?: number): void;
}

/** An OffscreenCanvas. */
export interface OffscreenCanvasLike {
  width: number;
  height: number;
  convertToBlob(options?: { type?: string; quality?: number }): Promise<Blob>;
}

/** An ImageData. */
export interface ImageDataLike {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

export type PictureLike = CanvasLike | OffscreenCanvasLike | ImageDataLike;

interface Context {
  drawImage(image: unknown, x: number, y: number, width: number, height: number): void;
  putImageData(image: unknown, x: number, y: number): void;
  fillStyle: string;
  fillRect(x: number, y: number, width: number, height: number): void;
  imageSmoothingQuality: string;
}

interface DrawableCanvas extends OffscreenCanvasLike {
  getContext(kind: '2d'): Context | null;
}

declare const OffscreenCanvas: new (width: number, height: number) => DrawableCanvas;

export interface Encoding {
  type: 'image/png' | 'image/jpeg';
  /** Of a JPEG, 0 to 1. */
  quality?: number | undefined;
}

export function isPicture(input: unknown): input is PictureLike {
  if (typeof input !== 'object' || input === null) return false;
  return 'toBlob' in input || 'convertToBlob' in input || isImageData(input);
}

function isImageData(input: object): input is ImageDataLike {
  return 'data' in input && input.data instanceof Uint8ClampedArray && 'width' in input && 'height' in input;
}

/** The picture as a file. Throws where the canvas has none, or shows what its page may not read. */
export async function encodePicture(picture: PictureLike, { type, quality }: Encoding): Promise<Blob> {
  if ('convertToBlob' in picture) {
    return await picture.convertToBlob({ type, ...(quality === undefined ? {} : { quality }) });
  }
  if (!('toBlob' in picture)) {
    const { canvas, context } = newCanvas(picture.width, picture.height);
    context.putImageData(picture, 0, 0);
    return await encodePicture(canvas, { type, quality });
  }
  const blob = await new Promise<Blob | null>((resolve) => picture.toBlob(resolve, type, quality));
  if (blob === null)
    throw new Error(`the canvas of ${picture.width} × ${picture.height} pixels gave no image`);
  return blob;
}

export function newCanvas(width: number, height: number): { canvas: OffscreenCanvasLike; context: Context } {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('expected the 2d context of a canvas');
  return { canvas, context };
}
