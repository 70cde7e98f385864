import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { VerifiedBody } from './s3-body.ts';
import { type Checksum, type ChecksumAlgorithm, type ChecksumState, startChecksum } from './s3-checksums.ts';
import { S3Error } from './s3-error.ts';
import type { NewObject, ObjectStore } from './s3-objects.ts';

const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PARTS = 10_000;

/** What was said when a multipart upload was begun. */
export interface Upload {
  id: string;
  bucket: string;
  key: string;
  headers: Record<string, string>;
  checksum?: { algorithm: ChecksumAlgorithm; type: Checksum['type'] };
}

interface Part extends VerifiedBody {
  number: number;
  file: string;
}

/** A part as the request that completes the upload lists it. */
export interface ListedPart {
  number: number;
  etag: string;
  /** Of the algorithm of the upload. */
  checksum?: string | undefined;
}

/** Begins an upload; it lasts until it is completed or aborted, over restarts as well. */
export async function createUpload(store: ObjectStore, upload: Omit<Upload, 'id'>): Promise<Upload> {
  store.bucket(upload.bucket);
  const created: Upload = { ...upload, id: randomUUID() };
  const dir = join(store.uploadsDir, created.id);
  await mkdir(dir);
  await writeJson(store, join(dir, 'upload.json'), created);
  return created;
}

/** The upload with this id. Throws NoSuchUpload when it is not one of this key. */
export async function findUpload(
  store: ObjectStore,
  wanted: Pick<Upload, 'id' | 'bucket' | 'key'>,
): Promise<Upload> {
  const missing = new S3Error(
    'NoSuchUpload',
    'The upload does not exist: completed, aborted or never begun.',
  );
  if (!/^[0-9a-f-]{36}$/.test(wanted.id)) throw missing;
  const text = await readFile(join(store.uploadsDir, wanted.id, 'upload.json'), 'utf8').catch(() => {
    throw missing;
  });
  const upload: Upload = JSON.parse(text);
  if (upload.bucket !== wanted.bucket || upload.key !== wanted.key) throw missing;
  return upload;
}

/** Throws InvalidArgument unless the number is 1 to 10,000. */
export function parsePartNumber(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > MAX_PARTS) {
    throw new S3Error('InvalidArgument', `A part number is 1 to ${MAX_PARTS}.`);
  }
  return number;
}

/** Takes a spooled body as a part; a part sent again replaces the earlier one. */
export async function putPart(
  store: ObjectStore,
  upload: Upload,
  number: number,
  body: VerifiedBody & { path: string },
): Promise<void> {
  const dir = join(store.uploadsDir, upload.id);
  const { path, ...verified } = body;
  const part: Part = { ...verified, number, file: `${randomUUID()}.data` };
  await rename(path, join(dir, part.file));
  await writeJson(store, join(dir, `part-${number}.json`), part);
}

/**
 * Puts the listed parts together in a new temporary file. Throws InvalidPart, InvalidPartOrder,
 * EntityTooSmall or EntityTooLarge.
 */
export async function assemble(
  store: ObjectStore,
  upload: Upload,
  { listed, maxBytes }: { listed: ListedPart[]; maxBytes: number },
): Promise<NewObject> {
  const dir = join(store.uploadsDir, upload.id);
  const parts = await selectParts(dir, listed);
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (sizeBytes > maxBytes) throw new S3Error('EntityTooLarge', `At most ${maxBytes} bytes are accepted.`);
  const whole =
    upload.checksum?.type === 'FULL_OBJECT' ? startChecksum(upload.checksum.algorithm) : undefined;
  const path = store.temporaryPath();
  try {
    await pipeline(readParts(dir, parts, whole), createWriteStream(path, { flags: 'wx' }));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  const md5 = createHash('md5');
  for (const part of parts) md5.update(Buffer.from(part.md5, 'hex'));
  return {
    path,
    sizeBytes,
    etag: `"${md5.digest('hex')}-${parts.length}"`,
    headers: upload.headers,
    checksum: wholeChecksum(upload, parts, whole),
  };
}

/** Forgets the upload and its parts. */
export async function removeUpload(store: ObjectStore, upload: Upload): Promise<void> {
  await rm(join(store.uploadsDir, upload.id), { recursive: true, force: true });
}

async function selectParts(dir: string, listed: ListedPart[]): Promise<Part[]> {
  if (listed.some(({ number }, index) => number <= (listed[index - 1]?.number ?? 0))) {
    throw new S3Error('InvalidPartOrder', 'The parts must be listed by ascending number.');
  }
  const stored = new Set(await readdir(dir));
  const parts: Part[] = [];
  for (const [index, { number, etag, checksum }] of listed.entries()) {
    const invalid = new S3Error('InvalidPart', `Part ${number} was not sent, or was sent with another body.`);
    if (!stored.has(`part-${number}.json`)) throw invalid;
    const part: Part = JSON.parse(await readFile(join(dir, `part-${number}.json`), 'utf8'));
    if (etag.replaceAll('"', '') !== part.md5) throw invalid;
    if (checksum !== undefined && checksum !== part.checksum?.value) throw invalid;
    if (part.sizeBytes < MIN_PART_BYTES && index < listed.length - 1) {
      throw new S3Error('EntityTooSmall', `Each part but the last needs ${MIN_PART_BYTES} bytes.`);
    }
    parts.push(part);
  }
  return parts;
}

async function* readParts(
  dir: string,
  parts: Part[],
  whole: ChecksumState | undefined,
): AsyncGenerator<Buffer> {
  for (const part of parts) {
    for await (const bytes of createReadStream(join(dir, part.file))) {
      whole?.update(bytes);
      yield bytes;
    }
  }
}

/** A composite is the checksum of the parts' checksums, with their number. */
function wholeChecksum(
  upload: Upload,
  parts: Part[],
  whole: ChecksumState | undefined,
): Checksum | undefined {
  if (upload.checksum === undefined) return undefined;
  if (whole !== undefined) return { ...upload.checksum, value: whole.digest().toString('base64') };
  const composite = startChecksum(upload.checksum.algorithm);
  for (const { checksum } of parts) composite.update(Buffer.from(checksum?.value ?? '', 'base64'));
  return { ...upload.checksum, value: `${composite.digest().toString('base64')}-${parts.length}` };
}

async function writeJson(store: ObjectStore, path: string, value: unknown): Promise<void> {
  const temporary = store.temporaryPath();
  await writeFile(temporary, JSON.stringify(value));
  await rename(temporary, path);
}
