import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { FailureCode } from '@glyphmill/contract/failure';
import { isFinal, type Job, jobSchema } from '@glyphmill/contract/job';
import { loadSamples, samplesFolder, sampleText } from '../fixtures/sample-list.ts';
import { checkPromises } from './checker.ts';
import { accepted, type Hook } from './receiver.ts';
import { documentsBucket } from './s3-double.ts';
import type { FaultSystem } from './system.ts';

/** How a job must end: with this text, or with one of these codes. Undefined text: with any. */
export type Expected = { text: string | undefined } | { codes: readonly FailureCode[] };

/** A job that was accepted. */
export interface Entry {
  id: string;
  expected: Expected;
  hook: Hook;
}

export interface Submission {
  /** A key that was put before. */
  key: string;
  expected: Expected;
  mode?: 'line' | 'document';
  hook?: Hook;
  /** More fields of the source, of the request, and of its headers. */
  source?: object;
  more?: object;
  headers?: Record<string, string>;
}

/** The answer's status, 0 where none came; an id only where the job was accepted. */
export interface SubmitAnswer {
  status: number;
  id: string | undefined;
  tookMs: number;
  /** For people. */
  detail: string;
}

/** What a producer knows: the jobs that were answered 202, and how each must end. */
export interface Ledger {
  readonly ids: readonly string[];
  /** Submits and expects 202. */
  submit(job: Submission): Promise<string>;
  /** Submits, and notes the job only if it was accepted. */
  trySubmit(job: Submission): Promise<SubmitAnswer>;
  /** Submits one of the small line documents. */
  submitLine(changes?: Partial<Submission>): Promise<string>;
  trySubmitLine(changes?: Partial<Submission>): Promise<SubmitAnswer>;
  submitLines(count: number): Promise<string[]>;
  /** Expects nothing more of a job: the fault is one that loses what was acknowledged, and the row has seen it lost. */
  forget(id: string): void;
  job(id: string): Promise<Job>;
  ended(id: string, withinMs: number): Promise<Job>;
  /** Holds P1 to P5 against everything that was acknowledged. Throws an AssertionError that names the promise. */
  check(options?: { withinMs?: number }): Promise<void>;
}

const lineFiles = ['line-digits.png', 'line-code.png', 'line-short.jpg', 'line-english.png'];
const samples = new Map(loadSamples().map((sample) => [sample.file, sample]));

/** A line document: the bytes, and what it says. */
export function lineDocument(index: number): { bytes: Buffer; text: string } {
  const file = lineFiles[index % lineFiles.length] ?? '';
  const sample = samples.get(file);
  if (sample === undefined) throw new Error(`expected ${file} among the samples`);
  return { bytes: readFileSync(`${samplesFolder}${file}`), text: sampleText(sample) };
}

const defaultDeadlineMs = 120_000;
const submitTimeoutMs = 30_000;
const pollMs = 100;

/** `name` keeps its objects apart from those of others on the same system. */
export function openLedger(system: FaultSystem, name: string): Ledger {
  const entries = new Map<string, Entry>();
  const hook = system.receiver.hook(accepted);
  const putLines = new Set<number>();
  let lines = 0;

  async function trySubmit(job: Submission): Promise<SubmitAnswer> {
    const target = job.hook ?? hook;
    const body = {
      source: { type: 's3', bucket: documentsBucket, key: job.key, ...job.source },
      mode: job.mode ?? 'line',
      webhook: { url: target.url },
      ...job.more,
    };
    const begunMs = performance.now();
    const answer = (status: number, detail: unknown, id?: string): SubmitAnswer => ({
      status,
      id,
      tookMs: performance.now() - begunMs,
      detail: detail instanceof Error ? String(detail) : JSON.stringify(detail),
    });
    try {
      const response = await system.call('/v1/jobs', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...job.headers },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(submitTimeoutMs),
      });
      const said: unknown = await response.json();
      // 200 tells of a job that was accepted under this Idempotency-Key before, and has ended.
      if (response.status !== 202 && response.status !== 200) return answer(response.status, said);
      const { id } = jobSchema.parse(said);
      entries.set(id, { id, expected: job.expected, hook: target });
      return answer(response.status, said, id);
    } catch (error) {
      return answer(0, error);
    }
  }

  async function submit(job: Submission): Promise<string> {
    const { id, status, detail } = await trySubmit(job);
    assert.ok(id, `expected 202 for ${job.key}, got ${status}: ${detail}`);
    return id;
  }

  async function nextLine(): Promise<Submission> {
    const number = lines % lineFiles.length;
    lines += 1;
    const { bytes, text } = lineDocument(number);
    const key = `${name}/line-${number}`;
    if (!putLines.has(number)) await system.put(key, bytes);
    putLines.add(number);
    return { key, expected: { text } };
  }

  async function job(id: string): Promise<Job> {
    const response = await system.call(`/v1/jobs/${id}`);
    const body: unknown = await response.json();
    assert.equal(response.status, 200, `GET of job ${id}: ${JSON.stringify(body)}`);
    return jobSchema.parse(body);
  }

  /** While the API is away a producer asks again. */
  async function ended(id: string, withinMs: number): Promise<Job> {
    const deadlineMs = performance.now() + withinMs;
    for (let last = 'unknown'; ; ) {
      const found = await job(id).catch((error: Error) => error);
      if (!(found instanceof Error) && isFinal(found.status)) return found;
      last = found instanceof Error ? found.message : `${found.status}, attempt ${found.attempt}`;
      if (performance.now() > deadlineMs)
        assert.fail(`P1: job ${id} was accepted and has not ended within ${withinMs} ms: ${last}`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  const ledger: Ledger = {
    get ids() {
      return [...entries.keys()];
    },
    submit,
    trySubmit,
    submitLine: async (changes) => submit({ ...(await nextLine()), ...changes }),
    trySubmitLine: async (changes) => trySubmit({ ...(await nextLine()), ...changes }),
    async submitLines(count) {
      const ids: string[] = [];
      for (let index = 0; index < count; index += 1) ids.push(await ledger.submitLine());
      return ids;
    },
    forget: (id) => void entries.delete(id),
    job,
    ended,
    check: ({ withinMs = defaultDeadlineMs } = {}) =>
      checkPromises(system, [...entries.values()], { ended, withinMs }),
  };
  return ledger;
}
