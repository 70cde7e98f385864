const signatures: [type: string, offset: number, text: string][] = [
  ['image/png', 0, '\x89PNG'],
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/gif', 0, 'GIF8'],
  ['image/webp', 8, 'WEBP'],
  ['image/tiff', 0, 'II*\0'],
  ['image/tiff', 0, 'MM\0*'],
  ['image/avif', 4, 'ftypavif'],
];

/** The media type of an image by its first bytes. The workers look for themselves; this is for people who look at jobs. */
export function contentTypeOf(bytes: Uint8Array): string {
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  const found = signatures.find(([, offset, text]) => head.startsWith(text, offset));
  return found?.[0] ?? 'application/octet-stream';
}
