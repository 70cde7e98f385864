import { type Batches, createBatches } from './batches.ts';
import { openInput } from './document.ts';
import { InputError } from './errors.ts';
import { type CallOptions, createHttp, type Http } from './http.ts';
import type { Input } from './input.ts';
import { createJobs, type Jobs } from './jobs.ts';
import { type RecognizeOptions, recognize } from './recognize.ts';
import type { Limits, Model, Result, Upload, UploadSource } from './types.ts';
import { createUpload, sendUpload } from './uploads.ts';
import { unwrapWebhook } from './webhooks.ts';

export type {
  BatchDocument,
  Batches,
  BatchHandle,
  BatchWaitOptions,
  CreateBatchOptions,
  ListItemsOptions,
} from './batches.ts';
export * from './errors.ts';
export type { CallOptions } from './http.ts';
export type { Input } from './input.ts';
export type { FollowOptions, JobStreamEvent } from './job-events.ts';
export type {
  CreateJobOptions,
  DeleteOptions,
  JobHandle,
  Jobs,
  JobWaitOptions,
  ListJobsOptions,
} from './jobs.ts';
export * from './problems.ts';
export type { RecognizeOptions } from './recognize.ts';
export type * from './types.ts';
export type { WaitOptions } from './wait.ts';
export { type UnwrapOptions, unwrapWebhook, type WebhookEvent } from './webhooks.ts';

export interface GlyphmillOptions {
  /** Where the API is, for example https://ocr.example.com. */
  baseUrl: string;
  /** A key of `glyphmill key create`. It is sent there and nowhere else. */
  apiKey: string;
  /** Longest time for one try of a call: 30 s unless it says otherwise. What waits for a job takes its own. */
  timeoutMs?: number | undefined;
  /** Tries after the first, where the API is busy or cannot be reached: 4 unless it says otherwise. */
  maxRetries?: number | undefined;
}

/** A client of one API with one key. It holds no connection, and needs no closing. */
export class Glyphmill {
  readonly jobs: Jobs;
  readonly batches: Batches;
  readonly webhooks = { unwrap: unwrapWebhook };
  readonly #http: Http;

  constructor({ baseUrl, apiKey, timeoutMs = 30_000, maxRetries = 4 }: GlyphmillOptions) {
    this.#http = createHttp({ baseUrl, apiKey, timeoutMs, maxRetries });
    this.jobs = createJobs(this.#http);
    this.batches = createBatches(this.#http);
  }

  /** Reads a document and gives what stands in it. Throws a JobFailedError where it cannot be read. */
  recognize(input: Input, options: RecognizeOptions = {}): Promise<Result> {
    return recognize({ http: this.#http, jobs: this.jobs }, input, options);
  }

  readonly uploads = {
    /** An address at the object store that takes one document of this type and size by PUT. */
    create: (
      upload: { contentType: string; sizeBytes: number },
      options: CallOptions = {},
    ): Promise<Upload> => createUpload(this.#http, upload, options),
    /** Uploads a document; what it gives is an input of one job. */
    send: async (input: Input, { signal }: CallOptions = {}): Promise<UploadSource> => {
      const document = await openInput(this.#http, input, signal);
      if (document.kind === 'source')
        throw new InputError('expected bytes to upload, got what the API can read by itself');
      return await sendUpload(this.#http, document, { signal });
    },
  };

  /** What the workers serve. */
  async models(options: CallOptions = {}): Promise<Model[]> {
    return (await this.#http.json<{ data: Model[] }>({ ...options, path: '/v1/models' })).data;
  }

  /** The limits in force. */
  limits(options: CallOptions = {}): Promise<Limits> {
    return this.#http.json<Limits>({ ...options, path: '/v1/limits' });
  }
}
