/** A line without its end, or null when it was too long to be kept. */
export interface Line {
  bytes: Buffer | null;
  /** Offset of what follows it. */
  end: number;
}

const lineFeed = 0x0a;

/** Splits bytes that begin at `offset` into lines, and gives them `groupSize` at a time. */
export async function* readLines(
  body: AsyncIterable<Buffer>,
  { offset, maxLineBytes, groupSize }: { offset: number; maxLineBytes: number; groupSize: number },
): AsyncGenerator<Line[]> {
  let group: Line[] = [];
  let pieces: Buffer[] = [];
  let sizeBytes = 0;
  const keep = (piece: Buffer) => {
    sizeBytes += piece.length;
    if (sizeBytes <= maxLineBytes) pieces.push(piece);
    else pieces = [];
  };
  const finishLine = (end: number) => {
    group.push({ bytes: sizeBytes > maxLineBytes ? null : Buffer.concat(pieces, sizeBytes), end });
    pieces = [];
    sizeBytes = 0;
  };
  let begun = offset;
  for await (const bytes of body) {
    let start = 0;
    for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, start)) {
      keep(bytes.subarray(start, end));
      start = end + 1;
      finishLine(begun + start);
      if (group.length < groupSize) continue;
      yield group;
      group = [];
    }
    keep(bytes.subarray(start));
    begun += bytes.length;
  }
  if (sizeBytes > 0) finishLine(begun);
  if (group.length > 0) yield group;
}
