import { type Failure, JobFailure } from '@glyphmill/contract/failure';
import type { Timings } from '@glyphmill/contract/job';
import type { Task } from '@glyphmill/contract/message';
import type { Result, ServedModel } from '@glyphmill/contract/result';
import { Budget } from '@glyphmill/engine/budget';
import type { Engine } from '@glyphmill/engine/engine';
import type { Attempt, KeptResult, Read } from '@glyphmill/queue/attempt';
import type { Handler } from '@glyphmill/queue/job-run';
import type { ObjectStore } from '@glyphmill/storage/object-store';
import type { LivePages, PageWriter, PageWriterOptions } from './live-pages.ts';
import type { ResultCache } from './result-cache.ts';
import type { AttemptTraces } from './trace-attempts.ts';

export interface PipelineOptions {
  engine: Engine;
  store: ObjectStore;
  /** Without it every document is read. */
  resultCache?: ResultCache;
  systemBucket: string;
  pageWriter: Pick<PageWriter, 'open'>;
  /** What this worker serves now. */
  models: () => readonly Pick<ServedModel, 'role' | 'name' | 'version'>[];
  /** Documents whose bytes may be in memory at once: those being fetched and those being decoded. */
  documentsInMemory: number;
  maxDocumentBytes: number;
  fetchTimeoutMs: number;
  jobTimeoutMs: number;
  onStages: (stages: StageTimes) => void;
  /** So many pages have been read, or have failed. */
  onPages?: (pages: number) => void;
  traces?: Pick<AttemptTraces, 'stagesOf' | 'inSpan'>;
  onWarning: PageWriterOptions['onWarning'];
}

export type StageTimes = Pick<Timings, 'fetchMs' | 'decodeMs' | 'detectMs' | 'recognizeMs'>;

type Context = Omit<Parameters<Handler>[1], 'progress'> & { progress: LivePages['progress'] };

/** Results above this go to S3: Redis holds many, and should hold them small. */
const maxInlineResultBytes = 256_000;
const writeTimeoutMs = 30_000;

/** The path of a job through the worker: fetch → decode → detect → batch → infer → read → assemble → keep. */
export function createPipeline(options: PipelineOptions): Handler {
  const { engine, store, resultCache } = options;
  const inMemory = new Budget(options.documentsInMemory);
  const inSpan = <T>(attempt: Attempt, name: string, work: () => Promise<T>) =>
    options.traces === undefined ? work() : options.traces.inSpan(attempt, name, work);

  return async (attempt, context) => {
    expectServed(attempt.task);
    expectAllowed(attempt.task);
    const limit = createTimeLimit(timeoutMsOf(attempt.task));
    const live = options.pageWriter.open(attempt.jobId, context.progress);
    try {
      return await read(attempt, {
        progress: live.progress,
        signal: AbortSignal.any([context.signal, limit.signal]),
        // Waiting for a place behind large documents is not the job's own time.
        begin: () => {
          limit.start();
          context.begin();
        },
      });
    } finally {
      limit.clear();
      live.close();
    }
  };

  /** Another worker may serve it; the API accepts only what workers have announced. */
  function expectServed({ model, modelVersion }: Task): void {
    const isServed = options
      .models()
      .some(
        ({ role, name, version }) =>
          role === 'recognize' &&
          (model === 'default' || model === name) &&
          (modelVersion === null || modelVersion === version),
      );
    if (isServed) return;
    const wanted =
      modelVersion === null ? `the model ${model}` : `version ${modelVersion} of the model ${model}`;
    throw new JobFailure({
      code: 'model-unavailable',
      message: `This worker does not serve ${wanted}; start one that does, or submit with model "default" and no version.`,
      retryable: true,
      phase: 'recognize',
    });
  }

  /** Checked where the job was submitted, and here once more: this process holds the keys to everybody's documents. */
  function expectAllowed({ document: { bucket, key }, inline, places }: Task): void {
    const isOurs = bucket === options.systemBucket;
    const isAllowed =
      inline === null
        ? !isOurs &&
          (places?.some((place) => place.bucket === bucket && key.startsWith(place.prefix)) ?? true)
        : isOurs;
    if (isAllowed) return;
    throw new JobFailure({
      code: 'source-access-denied',
      message: `The submitter may not read this object of the bucket ${bucket}; ask for a key that may.`,
      retryable: false,
      phase: 'fetch',
    });
  }

  function timeoutMsOf({ timeoutSeconds }: Task): number {
    return Math.min(options.jobTimeoutMs, (timeoutSeconds ?? Number.POSITIVE_INFINITY) * 1000);
  }

  async function read(attempt: Attempt, context: Context): Promise<Read> {
    const { jobId, task, createdAtMs } = attempt;
    const begunMs = Date.now();
    const end = async (result: Result, stages: StageTimes) => {
      const kept = await inSpan(attempt, 'keep', () => keep(result, { jobId, signal: context.signal }));
      const timings = { queueMs: begunMs - createdAtMs, ...stages, totalMs: Date.now() - begunMs };
      const { pages, warnings, usage } = result;
      const pagesFailed = pages.filter(({ status }) => status === 'failed').length;
      const status: Read['status'] = pagesFailed === 0 ? 'succeeded' : 'partial';
      return { status, result: kept, warnings, usage, timings, pagesFailed };
    };
    const earlier = await resultCache?.take(attempt, context.signal, async (result, fetchMs) => ({
      ...(await end({ ...result, jobId }, { fetchMs, decodeMs: 0, detectMs: 0, recognizeMs: 0 })),
      cache: 'hit' as const,
    }));
    if (earlier !== undefined) return earlier;
    let counted = 0;
    const count = (pages: number) => {
      options.onPages?.(pages - counted);
      counted = pages;
    };
    const progress: Context['progress'] = (now) => {
      count(now.pagesDone + now.pagesFailed);
      context.progress(now);
    };
    const { document, object, fetchMs } = await fetchAndScan(attempt, { ...context, progress });
    const result = await document.result(jobId);
    count(result.pages.length);
    const stages = { fetchMs, ...stageTimes(result) };
    options.onStages(stages);
    return { ...(await end(result, stages)), ...resultCache?.note(task, object, result) };
  }

  /** Holds the document's bytes only until it is decoded; while its lines are read others may use the memory. */
  async function fetchAndScan(attempt: Attempt, { signal, begin, progress }: Context) {
    const { task } = attempt;
    const leave = await inMemory.take(1, signal);
    try {
      const fetchSignal = AbortSignal.any([signal, AbortSignal.timeout(options.fetchTimeoutMs)]);
      const begunMs = performance.now();
      const { bytes, ...object } = await inSpan(attempt, 'fetch', () =>
        store.read(task.document, { maxBytes: options.maxDocumentBytes, signal: fetchSignal }),
      );
      const fetchMs = Math.round(performance.now() - begunMs);
      const { mode, options: asked, modelVersion } = task;
      return {
        document: await engine.scan(bytes, {
          mode,
          options: asked,
          ...(modelVersion !== null && { modelVersion }),
          signal,
          onBegin: begin,
          onProgress: progress,
          observer: options.traces?.stagesOf(attempt),
        }),
        object,
        fetchMs,
      };
    } finally {
      leave();
    }
  }

  /** The key is the job's, so that a second attempt writes over what a first one left. */
  async function keep(
    result: Result,
    { jobId, signal }: { jobId: string; signal: AbortSignal },
  ): Promise<KeptResult> {
    const json = JSON.stringify(result);
    const bytes = Buffer.from(json);
    if (bytes.length <= maxInlineResultBytes) return { kind: 'inline', json };
    const place = { bucket: options.systemBucket, key: `results/${jobId}.json` };
    const contentType = 'application/json';
    const writeSignal = AbortSignal.any([signal, AbortSignal.timeout(writeTimeoutMs)]);
    await store.write(place, bytes, { contentType, signal: writeSignal });
    return { kind: 'object', ...place };
  }
}

/** Its signal fires, `limitMs` after its start, with the failure that running out of time means. */
function createTimeLimit(limitMs: number) {
  const controller = new AbortController();
  const failure: Failure = {
    code: 'timeout',
    message: `The attempt took longer than ${limitMs / 1000} s; split the document, or allow more by timeoutSeconds and JOB_TIMEOUT_SECONDS.`,
    retryable: false,
    phase: 'recognize',
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    signal: controller.signal,
    start: () => {
      timer = setTimeout(() => controller.abort(new JobFailure(failure)), limitMs);
    },
    clear: () => clearTimeout(timer),
  };
}

function stageTimes({ pages }: Result): Omit<StageTimes, 'fetchMs'> {
  const sum = (stage: 'decodeMs' | 'detectMs' | 'recognizeMs') =>
    Math.round(pages.reduce((total, { timings }) => total + (timings?.[stage] ?? 0), 0));
  return { decodeMs: sum('decodeMs'), detectMs: sum('detectMs'), recognizeMs: sum('recognizeMs') };
}
