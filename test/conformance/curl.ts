import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A call as plain HTTP. */
export interface CurlCall {
  method?: string;
  url: string;
  /** Sent as a bearer token. */
  key?: string | undefined;
  headers?: Record<string, string>;
  json?: unknown;
  /** The body, or with `field` a file of a form. */
  bytes?: Buffer;
  field?: string;
  fields?: Record<string, string>;
  timeoutMs?: number | undefined;
  retries?: number;
}

export interface CurlAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Why curl itself gave up, by the name that clients have for it. */
export class CurlError extends Error {}

const names: Record<number, string> = { 28: 'TimeoutError' };
/** Nobody is to be held up for longer. */
const retrySeconds = 60;

/** One call with curl, whose own retries obey Retry-After. */
export async function curl(dir: string, call: CurlCall): Promise<CurlAnswer> {
  const own = await mkdtemp(join(dir, 'call-'));
  try {
    const args = await argumentsOf(own, call);
    const { code, stdout, stderr } = await execute(args);
    if (code !== 0) {
      const error = new CurlError(stderr.trim());
      error.name = names[code] ?? 'ConnectionError';
      throw error;
    }
    const body = await readFile(join(own, 'answer'), 'utf8').catch(() => '');
    return {
      status: Number(stdout),
      headers: lastHeaders(await readFile(join(own, 'headers'), 'latin1')),
      body,
    };
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

async function argumentsOf(own: string, call: CurlCall): Promise<string[]> {
  const { method = 'GET', url, key, json, bytes, field, timeoutMs = 30_000, retries = 4 } = call;
  const args = [
    '-sS',
    '-X',
    method,
    '-o',
    join(own, 'answer'),
    '-D',
    join(own, 'headers'),
    '-w',
    '%{http_code}',
  ];
  args.push('--max-time', `${timeoutMs / 1000}`);
  if (retries > 0)
    args.push('--retry', `${retries}`, '--retry-all-errors', '--retry-max-time', `${retrySeconds}`);
  if (key !== undefined) args.push('-H', `Authorization: Bearer ${key}`);
  for (const [name, value] of Object.entries(call.headers ?? {})) args.push('-H', `${name}: ${value}`);
  if (json !== undefined) {
    await writeFile(join(own, 'json'), JSON.stringify(json));
    args.push('-H', 'Content-Type: application/json', '--data-binary', `@${join(own, 'json')}`);
  }
  if (bytes !== undefined) {
    await writeFile(join(own, 'document'), bytes);
    if (field === undefined) args.push('--data-binary', `@${join(own, 'document')}`);
    else args.push('-F', `${field}=@${join(own, 'document')}`);
  }
  for (const [name, value] of Object.entries(call.fields ?? {}))
    args.push('--form-string', `${name}=${value}`);
  return [...args, url];
}

function execute(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile('curl', args, { maxBuffer: 100_000_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** After retries there are those of several answers. */
function lastHeaders(text: string): Record<string, string> {
  const block =
    text
      .trim()
      .split(/\r\n\r\n/)
      .at(-1) ?? '';
  return Object.fromEntries(
    block
      .split('\r\n')
      .slice(1)
      .map((line) => {
        const [, name = '', value = ''] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
        return [name.toLowerCase(), value];
      }),
  );
}

/** Looks until it is there, as a script would. */
export async function repeat<T>(
  look: () => Promise<T | undefined>,
  { untilMs }: { untilMs: number },
): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) {
      const error = new CurlError('it has not ended in time');
      error.name = 'WaitTimeoutError';
      throw error;
    }
    await delay(50);
  }
}
