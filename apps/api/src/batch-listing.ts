import { setImmediate } from 'node:timers/promises';
import { batchLimits } from '@glyphmill/contract/batch-request';
import { type Chunk, chunkSize } from '@glyphmill/queue/batch-ingest';
import type { BatchRecord } from '@glyphmill/queue/batch-record';
import { IngestFailure } from '@glyphmill/queue/ingest-failure';
import type { ListedObject, ObjectStore } from '@glyphmill/storage/object-store';
import { z } from 'zod';
import { reject } from './batch-entry.ts';
import { globMatcher } from './glob.ts';
import { mayRead, notAllowed } from './source-access.ts';

const tooMany = (what: string) =>
  new IngestFailure({
    code: 'too-many-items',
    message: `A batch ${what}; those before became jobs. Take longer prefixes, a batch for each.`,
  });

/** Where the listing goes on, and how many objects were looked at before. */
const cursorSchema = z.object({ after: z.string(), listed: z.int() });

/** Reads on in the listing of a batch's prefix. */
export async function* readListing(
  { objects, systemBucket }: { objects: Pick<ObjectStore, 'list'>; systemBucket: string },
  batch: BatchRecord,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const { source, task } = batch.plan;
  if (source.type !== 'prefix') throw new Error(`expected a prefix, got ${source.type}`);
  const { bucket, prefix, glob } = source;
  const isWanted = glob === null ? () => true : globMatcher(glob);
  let { index } = batch;
  let { after, listed } =
    batch.cursor === '' ? { after: '', listed: 0 } : cursorSchema.parse(JSON.parse(batch.cursor));
  for (let more = true; more; ) {
    const page = await objects.list({ bucket, prefix, after }, { signal });
    more = page.more;
    for (let start = 0; start < page.objects.length; start += chunkSize) {
      const slice = page.objects.slice(start, start + chunkSize);
      const found = slice.filter((object) => isDocument(object) && isWanted(object.key.slice(prefix.length)));
      const taken = found.slice(0, batchLimits.prefixObjects - index);
      after = slice.at(-1)?.key ?? after;
      listed += slice.length;
      yield toChunk(taken, { after, listed });
      if (taken.length < found.length) throw tooMany(`has at most ${batchLimits.prefixObjects} objects`);
      if (listed >= batchLimits.prefixListed && more) {
        throw tooMany(`looks at no more than ${batchLimits.prefixListed} objects for those that match`);
      }
      await setImmediate();
    }
  }

  function toChunk(taken: readonly ListedObject[], cursor: z.infer<typeof cursorSchema>): Chunk {
    const chunk: Chunk = {
      entries: [],
      rejected: [],
      next: { index: index + taken.length, cursor: JSON.stringify(cursor) },
    };
    for (const { key } of taken) {
      if (mayRead({ systemBucket, places: task.places }, { bucket, key })) {
        const document = { bucket, key, versionId: null, ifMatch: null };
        const { options, metadata } = task;
        chunk.entries.push({ index, document, inline: null, options, metadata });
      } else {
        const detail = notAllowed({ bucket });
        chunk.rejected.push(reject(index, { code: 'source-not-allowed', detail }).rejection);
      }
      index += 1;
    }
    return chunk;
  }
}

/** Some programs mark a folder by an empty object whose key ends in "/". */
function isDocument({ key, sizeBytes }: ListedObject): boolean {
  return !(key.endsWith('/') && sizeBytes === 0);
}
