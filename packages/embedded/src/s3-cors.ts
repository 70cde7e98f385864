/** What a browser has to hear so that a page of one of `origins` may use a presigned URL. */
export function corsHeaders(
  origins: readonly string[],
  { origin, wanted }: { origin: string | undefined; wanted: string | undefined },
): Record<string, string> {
  if (origin === undefined || !(origins.includes(origin) || origins.includes('*'))) return {};
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, PUT, HEAD',
    'access-control-expose-headers': 'etag',
    'access-control-max-age': '600',
    vary: 'origin',
    ...(wanted === undefined ? {} : { 'access-control-allow-headers': wanted }),
  };
}
