import { ConnectionError, GlyphmillError } from './errors.ts';
import { readLines } from './event-stream.ts';
import type { CallOptions, Http } from './http.ts';
import { chunksOf } from './input.ts';
import { pause, retryDelayMs } from './retry.ts';
import type { BatchResult } from './types.ts';

/** The results of a batch one by one. A stream that breaks is opened anew, and what has been told is left out. */
export async function* readBatchResults(
  http: Http,
  path: string,
  options: CallOptions,
): AsyncGenerator<BatchResult> {
  const told = new Set<string>();
  for (let failures = 0; ; failures += 1) {
    try {
      for await (const result of oneStream(http, path, options)) {
        if (told.has(result.jobId)) continue;
        told.add(result.jobId);
        failures = 0;
        yield result;
      }
      return;
    } catch (error) {
      if (!(error instanceof ConnectionError) || failures >= http.maxRetries) throw error;
    }
    await pause(retryDelayMs(failures + 1, undefined), options.signal);
  }
}

async function* oneStream(http: Http, path: string, options: CallOptions): AsyncGenerator<BatchResult> {
  const { response, close } = await http.open({
    ...options,
    path,
    headers: { accept: 'application/x-ndjson' },
  });
  try {
    if (response.body === null) throw new ConnectionError(`${path} was answered with nothing.`);
    for await (const line of readLines(chunksOf(response.body))) {
      if (line !== '') yield JSON.parse(line);
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof GlyphmillError) throw error;
    throw new ConnectionError(`The results of ${path} broke off.`, { cause: error });
  } finally {
    close();
  }
}
