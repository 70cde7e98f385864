import { size } from './format.js';

/** Longer side that a picture which is too large is brought to first; print stays legible on it. */
const firstSide = 4000;
const smallestSide = 600;
const quality = 0.85;

/**
 * The file as it is where the API takes it, else a smaller copy, and what is to be said of that. Throws where it
 * cannot be made smaller here.
 *
 * @param {File} file
 * @param {number} maxBytes
 * @returns {Promise<{ blob: Blob, note: string }>}
 */
export async function fitting(file, maxBytes) {
  if (file.size <= maxBytes) return { blob: file, note: '' };
  const large = `This picture has ${size(file.size)}, and the API takes ${size(maxBytes)}`;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    throw new Error(
      `${large}; your browser cannot open it to make it smaller. Save it as JPEG and choose that.`,
    );
  }
  try {
    const longer = Math.max(bitmap.width, bitmap.height);
    for (let side = Math.min(longer, firstSide); side >= smallestSide; side *= 0.75) {
      const width = Math.max(1, Math.round((bitmap.width * side) / longer));
      const height = Math.max(1, Math.round((bitmap.height * side) / longer));
      const blob = await encoded(bitmap, width, height);
      if (blob.size <= maxBytes) {
        return {
          blob,
          note: `${large}: a copy of ${width} × ${height} pixels was made in your browser and read instead.`,
        };
      }
    }
  } finally {
    bitmap.close();
  }
  throw new Error(`${large}. Cut out the part with the text and choose that.`);
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} width
 * @param {number} height
 */
async function encoded(bitmap, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context === null)
    throw new Error('The browser has no memory left for this picture; close other tabs and try again.');
  // JPEG knows no transparency, which would come out black.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas.convertToBlob({ type: 'image/jpeg', quality });
}
