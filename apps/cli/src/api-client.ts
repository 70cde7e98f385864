import { type Job, jobSchema } from '@glyphmill/contract/job';
import { problemSchema } from '@glyphmill/contract/problem';
import type { z } from 'zod';
import { CliError } from './cli-error.ts';
import type { Target } from './target.ts';

/** Calls of the HTTP API; every one throws a CliError that says what to do. */
export interface ApiClient {
  submit(job: object): Promise<Job>;
  job(id: string): Promise<Job>;
  /** Resolves when the job has ended, or after `waitSeconds` (at most 60) with the job as it is. */
  poll(id: string, waitSeconds: number): Promise<Job>;
  result(id: string, format: 'text' | 'json'): Promise<string>;
}

/** More than the API holds a call at most. */
const timeoutMs = 75_000;

export function openApiClient({ url, apiKey }: Target): ApiClient {
  async function call(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${apiKey}`, ...init.headers };
    let response: Response;
    try {
      response = await fetch(`${url}${path}`, { ...init, headers, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      throw new CliError('unreachable', `the API at ${url} does not answer; is it running?`, {
        cause: error,
      });
    }
    if (!response.ok) throw await toCliError(response);
    return response;
  }

  const readJob = async (response: Response) => parse(jobSchema, await response.json());
  return {
    async submit(job) {
      const headers = { 'content-type': 'application/json' };
      return readJob(await call('/v1/jobs', { method: 'POST', headers, body: JSON.stringify(job) }));
    },
    job: async (id) => readJob(await call(`/v1/jobs/${encodeURIComponent(id)}`)),
    poll: async (id, waitSeconds) =>
      readJob(await call(`/v1/jobs/${encodeURIComponent(id)}?wait=${waitSeconds}`)),
    result: async (id, format) => {
      const response = await call(`/v1/jobs/${encodeURIComponent(id)}/result?format=${format}`);
      return response.text();
    },
  };
}

async function toCliError(response: Response): Promise<CliError> {
  const problem = problemSchema.safeParse(await response.json().catch(() => undefined));
  if (!problem.success)
    return new CliError('failed', `the API answered ${response.status} ${response.statusText}`);
  const { code, detail, errors = [] } = problem.data;
  const places = errors.map((error) => `\n  ${error.pointer || '/'}: ${error.detail}`).join('');
  return new CliError('failed', `${code}: ${detail}${places}`);
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new CliError(
    'failed',
    'the API answered in a form this version does not know; use the same version of both',
  );
}
