import type { CallOptions, Http } from './http.ts';

interface ListPage<T> {
  data: T[];
  nextCursor: string | null;
}

/** All entries of a list, asked for a page at a time as they are taken. */
export async function* eachOf<T>(
  http: Http,
  { path, query }: { path: string; query: Record<string, string | number | undefined> },
  options: CallOptions,
): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page = await http.json<ListPage<T>>({ ...options, path, query: { limit: 100, ...query, cursor } });
    yield* page.data;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}
