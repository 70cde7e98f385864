import {
  type CanvasLike,
  encodePicture,
  type ImageDataLike,
  newCanvas,
  type OffscreenCanvasLike,
} from './encoded-image.ts';

export interface PrepareOptions {
  /** In pixels; a wider picture is made smaller, a narrower one stays as it is. */
  maxWidth?: number | undefined;
  /** Of the JPEG, 0 to 1. */
  quality?: number | undefined;
}

interface Bitmap {
  readonly width: number;
  readonly height: number;
  close(): void;
}

declare const createImageBitmap: (image: unknown, options?: { imageOrientation?: string }) => Promise<Bitmap>;

/**
 * A picture as a JPEG that is quick to send: no wider than `maxWidth`, its aspect ratio kept, turned as its EXIF
 * orientation says, on white where it is transparent.
 */
export async function prepareImage(
  picture: Blob | CanvasLike | OffscreenCanvasLike | ImageDataLike,
  { maxWidth = 1024, quality = 0.8 }: PrepareOptions = {},
): Promise<Blob> {
  const bitmap = await createImageBitmap(picture, { imageOrientation: 'from-image' });
  try {
    const scale = Math.min(1, maxWidth / bitmap.width);
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    const { canvas, context } = newCanvas(width, height);
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, width, height);
    return await encodePicture(canvas, { type: 'image/jpeg', quality });
  } finally {
    bitmap.close();
  }
}
