import type { ReadChunks } from '@glyphmill/queue/batch-ingest';
import type { ObjectStore } from '@glyphmill/storage/object-store';
import { readListing } from './batch-listing.ts';
import { readManifest } from './batch-manifest.ts';

/** Reads what batches are made of out of the object store. */
export function createBatchReader(store: {
  objects: Pick<ObjectStore, 'stream' | 'list'>;
  systemBucket: string;
}): ReadChunks {
  return (batch, signal) =>
    batch.plan.source.type === 'prefix'
      ? readListing(store, batch, signal)
      : readManifest(store, batch, signal);
}
