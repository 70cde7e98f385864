import type { Bucket, ObjectVersion } from './s3-objects.ts';

export const MAX_LISTED = 1000;

export interface ListQuery {
  prefix: string;
  /** Empty for none. */
  delimiter: string;
  limit: number;
  /** Lists only what sorts after it; an entry before it or a common prefix equal to it is left out. */
  after?: Position;
}

/** Where a page ended: at an entry of a key (and version), or at a common prefix. */
export interface Position {
  key: string;
  versionId?: string;
  isPrefix?: boolean;
}

export interface Entry {
  key: string;
  version: ObjectVersion;
  isLatest: boolean;
}

export interface Page {
  entries: Entry[];
  commonPrefixes: string[];
  /** Present when there is more. */
  next?: Position;
}

/** The newest version of each key that is not deleted, a page at a time, in the order of UTF-8 bytes. */
export function listObjects(bucket: Bucket, query: ListQuery): Page {
  return paginate(
    sortedEntries(bucket, query).filter(({ version, isLatest }) => isLatest && version.file !== undefined),
    query,
  );
}

/** All versions and delete markers, newest first within a key. */
export function listVersions(bucket: Bucket, query: ListQuery): Page {
  return paginate(sortedEntries(bucket, query), query);
}

function sortedEntries(bucket: Bucket, { prefix, after }: ListQuery): Entry[] {
  return [...bucket.keys.keys()]
    .filter((key) => key.startsWith(prefix) && isAfter(key, after))
    .sort(compareUtf8)
    .flatMap((key) => {
      const versions = bucket.keys.get(key) ?? [];
      const entries = versions.map((version, index) => ({ key, version, isLatest: index === 0 }));
      if (after?.versionId === undefined || key !== after.key) return entries;
      return entries.slice(1 + versions.findIndex(({ versionId }) => versionId === after.versionId));
    });
}

function isAfter(key: string, after: Position | undefined): boolean {
  if (after === undefined) return true;
  if (after.isPrefix && key.startsWith(after.key)) return false;
  if (key === after.key) return after.versionId !== undefined;
  return compareUtf8(key, after.key) > 0;
}

function paginate(entries: Entry[], { prefix, delimiter, limit }: ListQuery): Page {
  const page: Page = { entries: [], commonPrefixes: [] };
  let last: Position | undefined;
  for (const entry of entries) {
    const common = commonPrefix(entry.key, prefix, delimiter);
    if (common !== undefined && page.commonPrefixes.at(-1) === common) continue;
    if (page.entries.length + page.commonPrefixes.length >= limit) {
      return last === undefined ? page : { ...page, next: last };
    }
    if (common === undefined) {
      page.entries.push(entry);
      last = { key: entry.key, versionId: entry.version.versionId };
    } else {
      page.commonPrefixes.push(common);
      last = { key: common, isPrefix: true };
    }
  }
  return page;
}

/** The part of a key up to the first delimiter after the prefix. */
function commonPrefix(key: string, prefix: string, delimiter: string): string | undefined {
  const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return end < 0 ? undefined : key.slice(0, end + delimiter.length);
}

/** String comparison orders UTF-16, where surrogates sort before U+E000; in UTF-8 they sort after. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [unitA, unitB] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
