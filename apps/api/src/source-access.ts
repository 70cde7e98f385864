import type { Task } from '@glyphmill/contract/message';
import type { ApiKeyEntry } from '@glyphmill/service/api-key';
import type { Dependencies } from './dependencies.ts';
import { Problem } from './problem.ts';

/** Where a caller may read; null: anywhere. */
export type Places = Task['places'];

export function placesOf(caller: ApiKeyEntry): Places {
  return caller.buckets?.map(({ bucket, prefix = '' }) => ({ bucket, prefix })) ?? null;
}

/** Whether whoever may read in `places` may read this object; as a prefix, all that begin with it. */
export function mayRead(
  { systemBucket, places }: { systemBucket: string; places: Places },
  { bucket, key }: { bucket: string; key: string },
): boolean {
  // The system bucket holds every tenant's inline documents and large results.
  if (bucket === systemBucket) return false;
  return places?.some((place) => place.bucket === bucket && key.startsWith(place.prefix)) ?? true;
}

/** Throws source-not-allowed. */
export function checkSource(
  { config }: Pick<Dependencies, 'config'>,
  places: Places,
  source: { bucket: string; key: string },
): void {
  if (mayRead({ systemBucket: config.s3SystemBucket, places }, source)) return;
  throw new Problem('source-not-allowed', { detail: notAllowed(source) });
}

export function notAllowed({ bucket }: { bucket: string }): string {
  return `This API key may not read this object of the bucket ${bucket}.`;
}
