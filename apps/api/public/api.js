/** @import { Job, Problem } from '../../../packages/client/src/types.ts' */
import { keptKey } from './key.js';

/** The API is one step above what is loaded, also behind a proxy that puts it under a path of its own. */
const base = new URL('../', import.meta.url);

/** An answer that is no success, or none at all; its message says what to do next. */
export class CallError extends Error {
  /**
   * @param {string} message
   * @param {string} code
   */
  constructor(message, code) {
    super(message);
    this.name = 'CallError';
    this.code = code;
  }
}

/**
 * @param {string} path below the API's address, without a slash at its start
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
export async function call(path, init = {}) {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${keptKey() ?? ''}`);
  let response;
  try {
    response = await fetch(new URL(path, base), { ...init, headers, credentials: 'omit' });
  } catch (error) {
    init.signal?.throwIfAborted();
    if (!(error instanceof TypeError)) throw error;
    throw new CallError(
      'The API does not answer. Check that it runs and that you are online, then try again.',
      'offline',
    );
  }
  if (response.ok) return response;
  throw await toError(response);
}

/**
 * @param {string} path
 * @param {unknown} body
 */
export function post(path, body = {}) {
  const headers = { 'content-type': 'application/json' };
  return call(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** @param {Response} response */
async function toError(response) {
  if (!response.headers.get('content-type')?.startsWith('application/problem+json')) {
    return new CallError(
      `The server answered ${response.status}, and not as the API does. Is there a proxy in between?`,
      'foreign',
    );
  }
  /** @type {Problem} */
  const problem = await response.json();
  const after = response.headers.get('retry-after');
  const next = nextSteps[problem.code] ?? (after === null ? '' : `Try again in ${after} s.`);
  return new CallError(`${problem.detail} ${next}`.trim(), problem.code);
}

/** What to do where the problem's own words do not say it. @type {Record<string, string>} */
const nextSteps = {
  'insufficient-scope': 'Forget this key and enter another one.',
  'payload-too-large': 'Choose a smaller picture.',
};

/**
 * The states of a job until it has ended, as they come. A connection that breaks off is made anew a few times.
 *
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Job>}
 */
export async function* followJob(id, signal) {
  for (let failures = 0; ; failures += 1) {
    try {
      const response = await call(`v1/jobs/${id}/events`, {
        signal,
        headers: { accept: 'text/event-stream' },
      });
      if (response.body === null) return;
      for await (const data of eventData(response.body)) {
        /** @type {Job} */
        const job = JSON.parse(data);
        failures = 0;
        yield job;
        if (isEnded(job)) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      const isLost = error instanceof TypeError || (error instanceof CallError && error.code === 'offline');
      if (!isLost || failures >= 5) throw error;
    }
    await pause(500 * 2 ** failures, signal);
  }
}

/** @param {Job} job */
export function isEnded({ status }) {
  return status !== 'queued' && status !== 'running' && status !== 'canceling';
}

/**
 * The data of server-sent events as this API writes them: on one line.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 */
async function* eventData(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data: ')) yield line.slice('data: '.length);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
