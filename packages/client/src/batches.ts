import { readBatchResults } from './batch-results.ts';
import { toSource } from './document.ts';
import { addHidden } from './hidden.ts';
import type { Call, CallOptions, Http } from './http.ts';
import { newIdempotencyKey } from './idempotency-key.ts';
import type { Input } from './input.ts';
import { eachOf } from './list.ts';
import type { Batch, BatchItem, BatchResult, BatchSummary, CreateBatch, Job } from './types.ts';
import { untilEnded, type WaitOptions, withinTime } from './wait.ts';

/** A document of a batch, with what differs from the others. */
export interface BatchDocument extends Omit<BatchItem, 'source'> {
  source: Input;
}

export interface CreateBatchOptions extends Omit<CreateBatch, 'items'>, CallOptions {
  /** Or `manifest`, or `prefix`. */
  items?: readonly BatchDocument[] | undefined;
  /** Sent again with the same key it is the same batch. Without one each call makes up its own. */
  idempotencyKey?: string | undefined;
}

export interface BatchWaitOptions extends WaitOptions {
  /** Called with each state that is seen on the way. */
  onUpdate?: ((batch: Batch) => void) | undefined;
}

export interface ListItemsOptions extends CallOptions {
  status?: Job['status'] | undefined;
}

/** A batch as the API told of it, and what can be done with it. */
export type BatchHandle = Batch & {
  /** The batch when all its jobs have ended. Throws a WaitTimeoutError. */
  wait(options?: BatchWaitOptions): Promise<BatchHandle>;
  /** Its jobs in the order of its source. */
  items(options?: ListItemsOptions): AsyncGenerator<Job>;
  /** What was read, of the jobs that have ended, in the order of its source. */
  results(options?: CallOptions): AsyncGenerator<BatchResult>;
  /** The batch as it is now. */
  refresh(options?: CallOptions): Promise<BatchHandle>;
  cancel(options?: CallOptions): Promise<BatchHandle>;
  retryFailed(options?: CallOptions): Promise<BatchHandle>;
};

export type Batches = ReturnType<typeof createBatches>;

/** Bytes that come with a request that names many documents; the others are uploaded, this many side by side. */
const inlineBytes = 16_384;
const uploadsAtOnce = 4;

/** Calls about batches. */
export function createBatches(http: Http) {
  const at = (id: string, rest = '') => `/v1/batches/${encodeURIComponent(id)}${rest}`;
  const asBatch = async (call: Call) => handle(await http.json<Batch>(call));

  const batches = {
    /** Submits many documents. They are taken for good when this resolves; their jobs are made afterwards. */
    async create(options: CreateBatchOptions): Promise<BatchHandle> {
      const { signal, timeoutMs, items, idempotencyKey = newIdempotencyKey(), ...settings } = options;
      const json = { ...settings, ...(items === undefined ? {} : { items: await toItems(items, signal) }) };
      const headers = { 'idempotency-key': idempotencyKey };
      return await asBatch({ method: 'POST', path: '/v1/batches', json, headers, signal, timeoutMs });
    },
    get: (id: string, options: CallOptions = {}) => asBatch({ ...options, path: at(id) }),
    /** All batches, newest first. */
    list: (options: CallOptions = {}) =>
      eachOf<BatchSummary>(http, { path: '/v1/batches', query: {} }, options),
    items: (id: string, { status, ...options }: ListItemsOptions = {}) =>
      eachOf<Job>(http, { path: at(id, '/items'), query: { status } }, options),
    results: (id: string, options: CallOptions = {}) => readBatchResults(http, at(id, '/results'), options),
    /** Cancels those of its jobs that have not ended. */
    cancel: (id: string, options: CallOptions = {}) =>
      asBatch({ ...options, method: 'POST', path: at(id, '/cancel') }),
    /** Has those of its jobs that failed read once more. */
    retryFailed: (id: string, options: CallOptions = {}) =>
      asBatch({ ...options, method: 'POST', path: at(id, '/retry-failed'), repeatable: false }),
    async wait(id: string, { onUpdate = () => {}, ...options }: BatchWaitOptions = {}): Promise<BatchHandle> {
      const ended = await withinTime(`The batch ${id}`, options, ({ signal, leftMs }) =>
        untilEnded<Batch>(http, at(id), { signal, leftMs, onUpdate, isEnded: isOver }),
      );
      return handle(ended);
    },
  };
  return batches;

  function handle(batch: Batch): BatchHandle {
    const { id } = batch;
    return addHidden(batch, {
      wait: (options?: BatchWaitOptions) => batches.wait(id, options),
      items: (options?: ListItemsOptions) => batches.items(id, options),
      results: (options?: CallOptions) => batches.results(id, options),
      refresh: (options?: CallOptions) => batches.get(id, options),
      cancel: (options?: CallOptions) => batches.cancel(id, options),
      retryFailed: (options?: CallOptions) => batches.retryFailed(id, options),
    });
  }

  async function toItems(
    items: readonly BatchDocument[],
    signal: AbortSignal | undefined,
  ): Promise<BatchItem[]> {
    const ready: BatchItem[] = [];
    for (let start = 0; start < items.length; start += uploadsAtOnce) {
      const sourced = items.slice(start, start + uploadsAtOnce).map(async ({ source, ...rest }) => ({
        ...rest,
        source: await toSource(http, source, { signal, maxInlineBytes: inlineBytes }),
      }));
      ready.push(...(await Promise.all(sourced)));
    }
    return ready;
  }
}

function isOver({ finishedAt }: Batch): boolean {
  return finishedAt !== null;
}
