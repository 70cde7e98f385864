import { isUtf8 } from 'node:buffer';
import type { BatchEntry } from '@glyphmill/contract/batch-plan';
import { batchLimits } from '@glyphmill/contract/batch-request';
import { type Chunk, chunkSize } from '@glyphmill/queue/batch-ingest';
import type { BatchRecord } from '@glyphmill/queue/batch-record';
import { IngestFailure } from '@glyphmill/queue/ingest-failure';
import type { ObjectStore } from '@glyphmill/storage/object-store';
import { type Checked, checkLine, type ItemContext, reject } from './batch-entry.ts';
import { type Line, readLines } from './lines.ts';

const tooManyLines = new IngestFailure({
  code: 'too-many-items',
  message: `A manifest has at most ${batchLimits.manifestLines} lines; these became jobs. Put the others into a manifest of their own.`,
});

/** Reads on in a batch's manifest; the cursor is an offset in bytes. */
export async function* readManifest(
  { objects, systemBucket }: { objects: Pick<ObjectStore, 'stream'>; systemBucket: string },
  { plan, index: firstIndex, cursor }: BatchRecord,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const { source } = plan;
  if (source.type !== 'manifest') throw new Error(`expected a manifest, got ${source.type}`);
  const offset = Number(cursor === '' ? 0 : cursor);
  if (offset >= source.sizeBytes) return;
  let index = firstIndex;
  const { manifestLineBytes: maxLineBytes, manifestLines } = batchLimits;
  const lines = readLines(objects.stream(source, { offset, signal }), {
    offset,
    maxLineBytes,
    groupSize: chunkSize,
  });
  for await (const group of lines) {
    const taken = group.slice(0, manifestLines - index);
    if (taken.length > 0) yield toChunk(taken, index, { plan, systemBucket });
    if (group.slice(taken.length).some((line) => !isBlank(line))) throw tooManyLines;
    index += group.length;
  }
}

function toChunk(lines: readonly Line[], first: number, context: ItemContext): Chunk {
  const chunk: Chunk = {
    entries: [],
    rejected: [],
    next: { index: first + lines.length, cursor: String(lines.at(-1)?.end) },
  };
  for (const [position, line] of lines.entries()) {
    if (isBlank(line)) continue;
    const checked = check(line, first + position, context);
    if (checked.kind === 'fit') chunk.entries.push(checked.item);
    else chunk.rejected.push(checked.rejection);
  }
  return chunk;
}

function check({ bytes }: Line, index: number, context: ItemContext): Checked<BatchEntry> {
  if (bytes === null) {
    const detail = `The line has more than ${batchLimits.manifestLineBytes} bytes.`;
    return reject(index, { code: 'line-too-long', detail });
  }
  const value = parseJson(bytes);
  if (value === undefined) {
    return reject(index, { code: 'invalid-json', detail: 'Expected a line of JSON in UTF-8.' });
  }
  const checked = checkLine(value, index, context);
  if (checked.kind === 'rejected') return checked;
  const { source, options, metadata } = checked.item;
  const { bucket, key, versionId = null, ifMatch = null } = source;
  const document = { bucket, key, versionId, ifMatch };
  return { kind: 'fit', item: { index, document, inline: null, options, metadata } };
}

/** Undefined, which JSON has not, when it is none. */
function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) return undefined;
  try {
    // A byte order mark, with which some programs begin a file.
    return JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''));
  } catch {
    return undefined;
  }
}

function isBlank({ bytes }: Line): boolean {
  return bytes?.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d) ?? false;
}
