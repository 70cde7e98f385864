import { ConnectionError, GlyphmillError, ProblemError, RedirectError, TimeoutError } from './errors.ts';
import { isProblem, toProblemError } from './problems.ts';
import { isWorthRetrying, longestRetryAfterMs, pause, readRetryAfterMs, retryDelayMs } from './retry.ts';

/** What every call may be given. */
export interface CallOptions {
  /** Gives up: the call throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Longest time for one try, in place of the client's. */
  timeoutMs?: number | undefined;
}

export interface HttpOptions {
  baseUrl: string;
  apiKey: string;
  timeoutMs: number;
  maxRetries: number;
}

export interface Call extends CallOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  /** Begins with a slash. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  json?: object;
  body?: Blob | FormData;
  headers?: Record<string, string>;
  /** false: it must not be sent again when an earlier try may have been heard. */
  repeatable?: boolean;
  /** Tries after the first, in place of the client's. */
  maxRetries?: number;
  /** It removes something: when an earlier try may have been heard, that there is nothing any more is success. */
  removes?: boolean;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

export interface OpenAnswer {
  response: Response;
  /** Ends it; the body must have been read, or is given up. */
  close(): void;
}

export interface Http {
  maxRetries: number;
  timeoutMs: number;
  /** The whole answer, of a status below 400. Throws a ProblemError for any other. */
  send(call: Call): Promise<Answer>;
  /** The answer's JSON. */
  json<T>(call: Call): Promise<T>;
  /** The answer when its headers are there; the time for a try does not count for its body. */
  open(call: Call): Promise<OpenAnswer>;
}

/** Calls of one API with one key, each tried again where that may help. */
export function createHttp(options: HttpOptions): Http {
  const baseUrl = readBaseUrl(options.baseUrl);
  const { maxRetries, timeoutMs } = options;
  const authorization = `Bearer ${readApiKey(options.apiKey)}`;

  async function send(call: Call): Promise<Answer> {
    return await retrying(call, maxRetries, async (mayHaveBeenHeard) => {
      const attempt = begin(call, { baseUrl, authorization, timeoutMs });
      try {
        const response = await attempt.answer();
        const text = await attempt.during(response.text());
        return { status: response.status, headers: response.headers, text };
      } catch (error) {
        const isGone = error instanceof ProblemError && error.status === 404;
        if (!(call.removes && mayHaveBeenHeard && isGone)) throw error;
        return { status: 204, headers: new Headers(), text: '' };
      } finally {
        attempt.close();
      }
    });
  }

  async function open(call: Call): Promise<OpenAnswer> {
    return await retrying(call, maxRetries, async () => {
      const attempt = begin(call, { baseUrl, authorization, timeoutMs });
      try {
        const response = await attempt.answer();
        attempt.stopClock();
        return { response, close: attempt.close };
      } catch (error) {
        attempt.close();
        throw error;
      }
    });
  }

  return {
    maxRetries,
    timeoutMs,
    send,
    open,
    async json<T>(call: Call): Promise<T> {
      const { text } = await send(call);
      try {
        return JSON.parse(text);
      } catch (error) {
        throw new ConnectionError(`${call.path} was answered with what is no JSON.`, { cause: error });
      }
    },
  };
}

interface Target {
  baseUrl: string;
  authorization: string;
  timeoutMs: number;
}

/** One try of a call, under the caller's signal and the time for a try. */
function begin(call: Call, target: Target) {
  const { signal, method = 'GET', timeoutMs = target.timeoutMs } = call;
  const url = `${target.baseUrl}${call.path}${queryText(call.query)}`;
  const controller = new AbortController();
  const abort = () => controller.abort();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    abort();
  }, timeoutMs);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });

  async function during<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      signal?.throwIfAborted();
      const what = `${method} ${target.baseUrl}${call.path}`;
      if (isLate) throw new TimeoutError(`${what} was not answered within ${timeoutMs} ms.`);
      throw new ConnectionError(`${what} failed: ${causeOf(error)}.`, { cause: error });
    }
  }

  return {
    during,
    stopClock: () => clearTimeout(timer),
    close(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      abort();
    },
    /** An answer of a status below 400. */
    async answer(): Promise<Response> {
      const response = await during(fetch(url, requestOf(call, target, controller.signal)));
      if (isRedirect(response)) throw redirected(response, url);
      if (response.status >= 400) throw refusal(response, await during(response.text()));
      return response;
    },
  };
}

function requestOf(call: Call, { authorization }: Target, signal: AbortSignal): RequestInit {
  const headers = new Headers({ accept: 'application/json', ...call.headers, authorization });
  if (call.json !== undefined) headers.set('content-type', 'application/json');
  const body = call.json === undefined ? call.body : JSON.stringify(call.json);
  return {
    method: call.method ?? 'GET',
    headers,
    signal,
    redirect: 'manual',
    // The key is all the API looks at, and answers are the caller's alone.
    credentials: 'omit',
    ...(body === undefined ? {} : { body }),
  };
}

async function retrying<T>(
  { maxRetries, repeatable = true, signal }: Call,
  usualRetries: number,
  attempt: (mayHaveBeenHeard: boolean) => Promise<T>,
): Promise<T> {
  let mayHaveBeenHeard = false;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(mayHaveBeenHeard);
    } catch (error) {
      mayHaveBeenHeard ||= !(error instanceof ProblemError);
      const delayMs = delayAfter(error, { tries, repeatable });
      if (delayMs === undefined || tries > (maxRetries ?? usualRetries)) throw error;
      await pause(delayMs, signal);
    }
  }
}

/** Undefined where another try would be of no use, or could do the same thing twice. */
function delayAfter(
  error: unknown,
  { tries, repeatable }: { tries: number; repeatable: boolean },
): number | undefined {
  if (error instanceof ConnectionError || error instanceof TimeoutError) {
    return repeatable ? retryDelayMs(tries, undefined) : undefined;
  }
  if (!(error instanceof ProblemError) || !isWorthRetrying(error)) return undefined;
  const { retryAfterMs = 0 } = error;
  return retryAfterMs > longestRetryAfterMs ? undefined : retryDelayMs(tries, error.retryAfterMs);
}

/** Browsers hide where a redirect leads, and its status with it. */
function isRedirect({ type, status, headers }: Response): boolean {
  return type === 'opaqueredirect' || (status >= 300 && status < 400 && headers.has('location'));
}

function redirected({ headers }: Response, url: string): RedirectError {
  const target = headers.get('location') ?? 'another address';
  return new RedirectError(
    `${url} answered with a redirect to ${target}, which is not followed: the API key would go along. Set baseUrl to where the API is.`,
  );
}

function refusal({ status, statusText, headers }: Response, text: string): ProblemError {
  const retryAfterMs = readRetryAfterMs(headers.get('retry-after'), Date.now());
  const body = parsed(text);
  if (isProblem(body)) return toProblemError(body, { retryAfterMs });
  // Something between here and the API has answered.
  const problem = {
    type: 'about:blank',
    title: statusText,
    status,
    code: `http-${status}`,
    detail: `The answer was ${status} ${statusText}, and no problem of the API: ${text.slice(0, 200)}`,
    instance: '',
    requestId: headers.get('x-request-id') ?? '',
    retryable: isWorthRetrying({ status, code: '' }),
  };
  return new ProblemError(problem, { retryAfterMs });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new GlyphmillError(
      `expected baseUrl to be like https://ocr.example.com, got ${JSON.stringify(text)}`,
    );
  }
  return url.href.replace(/\/+$/, '');
}

function readApiKey(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new GlyphmillError('expected apiKey to be a key like gm_…');
}

function queryText(query: Call['query'] = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters}`;
}

/** Node's fetch says only that it failed; why is in its cause. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
