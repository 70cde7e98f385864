import { Problem } from './problem.ts';

export const mediaTypes = {
  json: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
} as const;
export type Format = keyof typeof mediaTypes;

const formats: readonly { format: Format; accepted: readonly string[] }[] = [
  { format: 'json', accepted: ['application/json', 'application/*', '*/*'] },
  { format: 'text', accepted: ['text/plain', 'text/*', '*/*'] },
];

/**
 * The format asked for by `?format=`, else by the Accept header (RFC 9110, section 12.5.1); JSON when both
 * say nothing or like both alike. Throws format-not-available.
 */
export function chooseFormat(asked: string | undefined, accept: string | undefined): Format {
  if (asked !== undefined) {
    const found = formats.find(({ format }) => format === asked);
    return found?.format ?? refuse(asked);
  }
  if (accept === undefined) return 'json';
  const ranges = parseAccept(accept);
  const liked = formats.map(({ format, accepted }) => ({ format, quality: qualityOf(accepted, ranges) }));
  const best = Math.max(...liked.map(({ quality }) => quality));
  return (best > 0 ? liked.find(({ quality }) => quality === best)?.format : undefined) ?? refuse(accept);
}

function parseAccept(header: string): ReadonlyMap<string, number> {
  const ranges = header.split(',').map((entry) => {
    const [range = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    return [range, Number.isFinite(quality) ? quality : 0] as const;
  });
  return new Map(ranges);
}

/** The most specific range decides. */
function qualityOf(accepted: readonly string[], ranges: ReadonlyMap<string, number>): number {
  const decisive = accepted.find((range) => ranges.has(range));
  return decisive === undefined ? 0 : (ranges.get(decisive) ?? 0);
}

function refuse(asked: string): never {
  const names = formats.map(({ format }) => format).join(' and ');
  throw new Problem('format-not-available', {
    detail: `There is no format for ${JSON.stringify(asked.slice(0, 100))}; there is ${names}.`,
  });
}
