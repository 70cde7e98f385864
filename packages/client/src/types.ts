// Written by test/fixtures/client-types.ts from packages/contract; not to be changed by hand.

export type JobS3Source = {
  type: 's3';
  bucket: string;
  key: string;
  versionId: string | null;
  ifMatch: string | null;
};

export type JobInlineSource = {
  type: 'inline';
  contentType: string;
  sizeBytes: number;
};

export type JobUploadSource = {
  type: 'upload';
  uploadId: string;
  contentType: string;
  sizeBytes: number;
};

export type Progress = {
  pagesTotal: number | null;
  pagesDone: number;
  pagesFailed: number;
};

export type Failure = {
  code: 'source-not-found' | 'source-bucket-not-found' | 'source-access-denied' | 'source-changed' | 'source-unavailable' | 'source-timeout' | 'empty-document' | 'unsupported-document' | 'corrupt-document' | 'image-too-large' | 'too-many-pages' | 'document-too-large' | 'invalid-page-range' | 'decode-crashed' | 'decode-timeout' | 'decode-out-of-memory' | 'model-error' | 'model-unavailable' | 'destination-failed' | 'timeout' | 'deadline-exceeded' | 'worker-lost' | 'invalid-job' | 'internal';
  /** What was expected, what came, and what to do next. */
  message: string;
  /** Whether the same job could succeed later without a change. */
  retryable: boolean;
  phase: 'queue' | 'fetch' | 'decode' | 'detect' | 'recognize' | 'store';
  page?: number | undefined;
};

export type Warning = {
  code: string;
  message: string;
  page?: number | undefined;
};

export type JobUsage = {
  pages: number;
  lines: number;
  megapixels: number;
  /** hit: an earlier result was given, and nothing read; miss: the document was read; bypass: the cache was not asked. */
  cache: 'hit' | 'miss' | 'bypass';
};

export type Timings = {
  /** From submission to the start of the attempt that ended the job. */
  queueMs: number;
  fetchMs: number;
  decodeMs: number;
  detectMs: number;
  /** From a page’s first line handed to the batcher to its last reading. */
  recognizeMs: number;
  /** From the start of that attempt to its commit. */
  totalMs: number;
};

export type JobLinks = {
  self: string;
  result: string;
  pages: string;
  events: string;
  cancel: string;
};

export type Job = {
  object: 'job';
  id: string;
  status: 'queued' | 'running' | 'canceling' | 'succeeded' | 'partial' | 'failed' | 'canceled' | 'expired';
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  /** When the job and its result are forgotten; null while it runs. */
  expiresAt: string | null;
  source: JobS3Source | JobInlineSource | JobUploadSource;
  /** document: find the lines, then read them; line: the whole image is one line of text. */
  mode: 'document' | 'line';
  model: string;
  /** The version asked for; the result says which read it. */
  modelVersion: string | null;
  batchId: string | null;
  /** Where in its batch’s source it stands, counted from 0. */
  batchIndex: number | null;
  priority: 'high' | 'normal' | 'low';
  /** When the job ends as expired unless it has ended before. */
  deadline: string | null;
  /** Attempts begun so far. */
  attempt: number;
  progress: Progress;
  error: Failure | null;
  warnings: Warning[];
  /** null until there is a result. */
  cache: 'hit' | 'miss' | 'bypass' | null;
  usage: JobUsage | null;
  timings: Timings | null;
  metadata: Record<string, string>;
  links: JobLinks;
};

export type ServedModel = {
  role: 'detect' | 'recognize';
  name: string;
  version: string;
  sha256: string;
  provider: 'cpu' | 'cuda';
};

export type ResultEngine = {
  service: string;
  runtime: string;
  models: ServedModel[];
  options: OptionsInForce;
};

export type Usage = {
  pages: number;
  lines: number;
  megapixels: number;
};

export type MicroBatch = {
  /** Unique within the attempt. */
  id: string;
  role: 'detect' | 'recognize';
  /** Pages or lines in it, of all documents. */
  size: number;
  /** Those of this document. */
  own: number;
  /** Its size ÷ max_batch_size. */
  fill: number;
  /** What made it go. */
  trigger: 'size' | 'preferred' | 'delay' | 'idle' | 'drain';
  /** The longest that one of this document’s waited for it. */
  queueDelayMs: number;
  runMs: number;
};

export type Result = {
  object: 'ocr.result';
  schemaVersion: '1.0';
  /** null when read without a job, by `glyphmill ocr`. */
  jobId: string | null;
  /** The pages’ texts, a form feed between two pages; nothing for a failed one. */
  text: string;
  /** Mean over all characters; null when there is none. */
  confidence: number | null;
  engine: ResultEngine;
  pages: Page[];
  usage: Usage;
  warnings: Warning[];
  /** In the order in which they ended, the first 1000; only where options.microBatches asks. */
  microBatches?: MicroBatch[] | undefined;
};

export type OptionsInForce = {
  /** Pages to read, counted from 1, for example "1-3,7". Default: all. */
  pages?: string | undefined;
  /** Leave out lines read with less confidence than this. */
  minConfidence: number;
  /** Longer side in pixels of the page as the detector sees it. More finds smaller print, and costs more. */
  maxSideLength: number;
  /** Add every character with its own confidence. */
  characters: boolean;
  /** Add the micro-batches that its pages and lines rode in, with those of other documents. */
  microBatches?: boolean | undefined;
};

export type Character = {
  text: string;
  confidence: number;
};

export type Line = {
  /** Unique within its page: l1, l2, … in reading order. */
  id: string;
  text: string;
  /** Mean over the characters of the line. */
  confidence: number;
  /** x1,y1 … x4,y4 in page pixels, clockwise from the text’s own top left corner. */
  polygon: number[];
  /** x0,y0,x1,y1: the upright rectangle around the polygon. */
  bbox: number[];
  characters?: Character[] | undefined;
  /** The one it was read in, where options.microBatches asks. */
  microBatch?: string | undefined;
};

export type PageTimings = {
  decodeMs: number;
  detectMs: number;
  recognizeMs: number;
};

export type SucceededPage = {
  number: number;
  status: 'succeeded';
  width: number;
  height: number;
  unit: 'px';
  /** Degrees by which the stored pixels were turned clockwise (EXIF) before coordinates were taken. */
  rotation: number;
  text: string;
  lines: Line[];
  error: null;
  timings: PageTimings;
};

export type FailedPage = {
  number: number;
  status: 'failed';
  width: null;
  height: null;
  unit: 'px';
  rotation: null;
  text: '';
  lines: Line[];
  error: Failure;
  timings: null;
};

export type Page = SucceededPage | FailedPage;

export type PageState = {
  number: number;
  /** unread: not yet, or not before the job ended. */
  status: 'unread' | 'succeeded' | 'failed';
  href: string;
};

export type PageList = {
  object: 'list';
  data: PageState[];
  nextCursor: string | null;
};

export type BatchItemsSource = {
  type: 'items';
  count: number;
};

export type BatchManifestSource = {
  type: 'manifest';
  bucket: string;
  key: string;
  versionId: string | null;
  sizeBytes: number;
};

export type BatchPrefixSource = {
  type: 'prefix';
  bucket: string;
  prefix: string;
  glob: string | null;
};

export type BatchIngestError = {
  code: 'source-not-found' | 'source-bucket-not-found' | 'source-access-denied' | 'source-changed' | 'source-unavailable' | 'source-timeout' | 'empty-document' | 'unsupported-document' | 'corrupt-document' | 'image-too-large' | 'too-many-pages' | 'document-too-large' | 'invalid-page-range' | 'decode-crashed' | 'decode-timeout' | 'decode-out-of-memory' | 'model-error' | 'model-unavailable' | 'destination-failed' | 'timeout' | 'deadline-exceeded' | 'worker-lost' | 'invalid-job' | 'internal' | 'too-many-items';
  message: string;
};

export type BatchIngest = {
  state: 'running' | 'waiting' | 'done' | 'failed' | 'canceled';
  /** Set while waiting. */
  waitingFor: 'queue-full' | 'quota-exceeded' | 'memory' | 'queue-unavailable' | 'storage-unavailable' | 'internal' | null;
  /** Set when failed: what became jobs before stays as it is, the rest of the source is not taken. */
  error: BatchIngestError | null;
  /** Items, lines or objects that have been dealt with. */
  indexed: number;
};

export type BatchLinks = {
  self: string;
  items: string;
  results: string;
  cancel: string;
};

export type Rejection = {
  /** Counted from 0: the place in `items`, the line of the manifest, or the place in the listing. */
  index: number;
  code: 'invalid-json' | 'line-too-long' | 'unknown-field' | 'validation-failed' | 'source-not-allowed';
  detail: string;
};

export type Batch = {
  object: 'batch';
  id: string;
  /** ingesting: jobs are still being made; running: all are made and some have not ended; completed: all have ended, however. */
  status: 'ingesting' | 'running' | 'canceling' | 'completed' | 'canceled';
  createdAt: string;
  finishedAt: string | null;
  /** When the batch is forgotten; null until it has ended. */
  expiresAt: string | null;
  source: BatchItemsSource | BatchManifestSource | BatchPrefixSource;
  /** document: find the lines, then read them; line: the whole image is one line of text. */
  mode: 'document' | 'line';
  model: string;
  priority: 'normal' | 'low';
  deadline: string | null;
  metadata: Record<string, string>;
  ingest: BatchIngest;
  /** Jobs made so far. */
  jobCount: number;
  /** Jobs by their state. */
  counts: Record<'queued' | 'running' | 'canceling' | 'succeeded' | 'partial' | 'failed' | 'canceled' | 'expired' | 'deleted', number>;
  /** Share of jobs that have ended; null until all jobs are made. */
  percent: number | null;
  /** Jobs ended per second, over the last minute. */
  ratePerSecond: number;
  /** At that rate; null until all jobs are made, while none end, and at the end. */
  estimatedFinishAt: string | null;
  rejectedCount: number;
  links: BatchLinks;
  /** The first of the rejected. */
  rejected: Rejection[];
};

export type BatchList = {
  object: 'list';
  data: BatchSummary[];
  nextCursor: string | null;
};

export type BatchSummary = {
  object: 'batch';
  id: string;
  /** ingesting: jobs are still being made; running: all are made and some have not ended; completed: all have ended, however. */
  status: 'ingesting' | 'running' | 'canceling' | 'completed' | 'canceled';
  createdAt: string;
  finishedAt: string | null;
  /** When the batch is forgotten; null until it has ended. */
  expiresAt: string | null;
  source: BatchItemsSource | BatchManifestSource | BatchPrefixSource;
  /** document: find the lines, then read them; line: the whole image is one line of text. */
  mode: 'document' | 'line';
  model: string;
  priority: 'normal' | 'low';
  deadline: string | null;
  metadata: Record<string, string>;
  ingest: BatchIngest;
  /** Jobs made so far. */
  jobCount: number;
  /** Jobs by their state. */
  counts: Record<'queued' | 'running' | 'canceling' | 'succeeded' | 'partial' | 'failed' | 'canceled' | 'expired' | 'deleted', number>;
  /** Share of jobs that have ended; null until all jobs are made. */
  percent: number | null;
  /** Jobs ended per second, over the last minute. */
  ratePerSecond: number;
  /** At that rate; null until all jobs are made, while none end, and at the end. */
  estimatedFinishAt: string | null;
  rejectedCount: number;
  links: BatchLinks;
};

export type ResultGone = {
  code: 'result-expired' | 'storage-unavailable';
  message: string;
};

export type BatchResult = {
  jobId: string;
  /** Counted from 0: the place in `items`, the line of the manifest, or the place in the listing. */
  index: number;
  status: 'queued' | 'running' | 'canceling' | 'succeeded' | 'partial' | 'failed' | 'canceled' | 'expired';
  /** null unless succeeded or partial. */
  result: Result | null;
  /** Why the job failed, or why its result cannot be given. */
  error: Failure | ResultGone | null;
};

export type Model = {
  role: 'detect' | 'recognize';
  name: string;
  version: string;
  sha256: string;
  provider: 'cpu' | 'cuda';
  object: 'model';
  default: boolean;
  maxBatchSize: number;
  /** Whether a worker that serves it reported within the last half minute. */
  ready: boolean;
};

export type Limits = {
  object: 'limits';
  /** Largest document inside a JSON body. */
  inlineBytes: number;
  /** Largest document of POST /v1/uploads; workers may take less. */
  presignedBytes: number;
  /** Largest image in a multipart or raw body. */
  uploadBytes: number;
  metadataEntries: number;
  metadataKeyLength: number;
  metadataValueLength: number;
  /** Longest address of a webhook, in characters. */
  urlLength: number;
  /** Webhook endpoints that one tenant may have. */
  webhookEndpoints: number;
  ttlSecondsMin: number;
  ttlSecondsMax: number;
  timeoutSecondsMax: number;
  waitSecondsMax: number;
  listLimitMax: number;
  /** Jobs of all callers that may wait at once. */
  waitingJobs: number;
  /** Jobs of yours that may be open, waiting or running. */
  tenantJobs: number;
  /** Pages of your running jobs at which further jobs are refused. */
  tenantPages: number;
  /** Megapixels of your running jobs at which further jobs are refused. */
  tenantMegapixels: number;
  /** Items of a batch that are named one by one. */
  batchItems: number;
  /** Lines of a batch’s manifest. */
  manifestLines: number;
  manifestLineBytes: number;
  manifestBytes: number;
  /** Objects of a batch that is named by a prefix. */
  prefixObjects: number;
  /** Objects looked at for those that match its glob. */
  prefixListed: number;
  globLength: number;
  /** Batches of yours whose jobs are still being made. */
  batchesIngesting: number;
  /** Rejections of a batch that are told one by one. */
  batchRejections: number;
  recognizeConcurrency: number;
  submitConcurrency: number;
  /** Event streams that one process of the API keeps open. */
  eventStreams: number;
  requestTimeoutSeconds: number;
};

export type Upload = {
  object: 'upload';
  uploadId: string;
  method: 'PUT';
  /** At the object store. It needs no API key and should be shown none. */
  url: string;
  /** To be sent as they are; an upload of another size or type is refused by the store. */
  headers: Record<string, string>;
  /** Until when the upload may begin. */
  expiresAt: string;
};

export type Fault = {
  /** RFC 6901 pointer into the body. */
  pointer: string;
  detail: string;
};

export type Problem = {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  instance: string;
  requestId: string;
  retryable: boolean;
  errors?: Fault[] | undefined;
};

export type JobEventData = {
  jobId: string;
  status: 'succeeded' | 'partial' | 'failed' | 'canceled' | 'expired';
  metadata: Record<string, string>;
  pages: number | null;
  /** Path of the result, relative to the API. */
  result: string | null;
  error: Failure | null;
};

export type JobEvent = {
  type: 'job.succeeded' | 'job.partial' | 'job.failed' | 'job.canceled' | 'job.expired';
  /** When it happened, the same on every attempt. */
  timestamp: string;
  data: JobEventData;
};

export type BatchEventData = {
  batchId: string;
  status: 'completed' | 'canceled';
  /** Jobs by the state they ended in. */
  counts: Record<'succeeded' | 'partial' | 'failed' | 'expired' | 'canceled' | 'deleted', number>;
  rejectedCount: number;
  metadata: Record<string, string>;
  /** Path of the results, relative to the API. */
  results: string;
};

export type BatchEvent = {
  type: 'batch.completed';
  timestamp: string;
  data: BatchEventData;
};

export type EndpointDisabledEventData = {
  endpointId: string;
  reason: 'gone' | 'failing';
};

export type EndpointDisabledEvent = {
  type: 'webhook.endpoint-disabled';
  /** When it happened, the same on every attempt. */
  timestamp: string;
  data: EndpointDisabledEventData;
};

export type PingEventData = {
  endpointId: string;
};

export type PingEvent = {
  type: 'webhook.ping';
  /** When it happened, the same on every attempt. */
  timestamp: string;
  data: PingEventData;
};

export type CreateJob = {
  source: S3Source | InlineSource | UploadSource;
  /** document: find the lines, then read them; line: the whole image is one line of text. */
  mode?: 'document' | 'line' | undefined;
  /** The recogniser; "default" is the one the workers serve by default. */
  model?: string | undefined;
  /** Read every line with this version of the recogniser. Default: the newest that is served. */
  modelVersion?: string | null | undefined;
  options?: Options | undefined;
  /** use: give the result of an earlier job of yours that read the same version of the object with the same models and options, where there is one; refresh: read anew, for later jobs too; bypass: read anew, and keep nothing for others. Inline documents are always read. */
  cache?: 'use' | 'refresh' | 'bypass' | undefined;
  webhook?: Webhook | undefined;
  priority?: 'high' | 'normal' | 'low' | undefined;
  /** Longest time for one attempt, where it is less than the workers’ own limit. */
  timeoutSeconds?: number | null | undefined;
  /** After this time nobody wants the result any more: the job ends as expired. */
  deadline?: string | null | undefined;
  /** How long the job and its result stay readable after its end. */
  ttlSeconds?: number | undefined;
  metadata?: Record<string, string> | undefined;
};

export type S3Source = {
  type: 's3';
  bucket: string;
  key: string;
  /** Read this version of the object. */
  versionId?: string | null | undefined;
  /** Fail with source-changed unless the object has this ETag. */
  ifMatch?: string | null | undefined;
};

export type InlineSource = {
  type: 'inline';
  contentType: string;
  data: string;
};

export type UploadSource = {
  type: 'upload';
  /** Of POST /v1/uploads; the document is removed with the job that read it. */
  uploadId: string;
};

export type Options = {
  /** Pages to read, counted from 1, for example "1-3,7". Default: all. */
  pages?: string | undefined;
  /** Leave out lines read with less confidence than this. */
  minConfidence?: number | undefined;
  /** Longer side in pixels of the page as the detector sees it. More finds smaller print, and costs more. */
  maxSideLength?: number | undefined;
  /** Add every character with its own confidence. */
  characters?: boolean | undefined;
  /** Add the micro-batches that its pages and lines rode in, with those of other documents. */
  microBatches?: boolean | undefined;
};

export type Webhook = {
  /** Signed with the secret of the tenant, GET /v1/webhook-secret. */
  url?: string | undefined;
  /** Only these of the tenant’s endpoints, each with its own filter. */
  endpointIds?: string[] | undefined;
  /** Only these events. Default: whatever end the job comes to. */
  events?: ('job.succeeded' | 'job.partial' | 'job.failed' | 'job.canceled' | 'job.expired')[] | undefined;
};

export type Manifest = {
  bucket: string;
  key: string;
  versionId?: string | null | undefined;
};

export type Prefix = {
  bucket: string;
  /** Every object whose key begins with this; without it every one of the bucket. */
  prefix?: string | undefined;
  /** What must follow the prefix: ? and * stand for anything but "/", ** for anything. */
  glob?: string | null | undefined;
};

export type CreateBatch = {
  /** document: find the lines, then read them; line: the whole image is one line of text. */
  mode?: 'document' | 'line' | undefined;
  /** The recogniser; "default" is the one the workers serve by default. */
  model?: string | undefined;
  /** Read every line with this version of the recogniser. Default: the newest that is served. */
  modelVersion?: string | null | undefined;
  options?: Options | undefined;
  /** use: give the result of an earlier job of yours that read the same version of the object with the same models and options, where there is one; refresh: read anew, for later jobs too; bypass: read anew, and keep nothing for others. Inline documents are always read. */
  cache?: 'use' | 'refresh' | 'bypass' | undefined;
  priority?: 'normal' | 'low' | undefined;
  /** Longest time for one attempt, where it is less than the workers’ own limit. */
  timeoutSeconds?: number | null | undefined;
  /** After this time nobody wants the result any more: the job ends as expired. */
  deadline?: string | null | undefined;
  /** How long the job and its result stay readable after its end. */
  ttlSeconds?: number | undefined;
  metadata?: Record<string, string> | undefined;
  webhook?: BatchWebhook | undefined;
  items?: BatchItem[] | undefined;
  /** An object of JSON lines, each an item: at most 100000 of 16384 bytes. */
  manifest?: Manifest | undefined;
  /** At most 100000 objects. */
  prefix?: Prefix | undefined;
};

export type BatchWebhook = {
  /** Signed with the secret of the tenant, GET /v1/webhook-secret. */
  url?: string | undefined;
  /** Only these of the tenant’s endpoints, each with its own filter. */
  endpointIds?: string[] | undefined;
  /** Name events of jobs as well to be told of each. */
  events?: ('batch.completed' | 'job.succeeded' | 'job.partial' | 'job.failed' | 'job.canceled' | 'job.expired')[] | undefined;
};

export type OptionOverrides = {
  /** Pages to read, counted from 1, for example "1-3,7". Default: all. */
  pages?: string | undefined;
  minConfidence?: number | undefined;
  maxSideLength?: number | undefined;
  characters?: boolean | undefined;
  /** Add the micro-batches that its pages and lines rode in, with those of other documents. */
  microBatches?: boolean | undefined;
};

export type BatchItem = {
  source: S3Source | InlineSource | UploadSource;
  /** Over the options of the batch. */
  options?: OptionOverrides | undefined;
  /** Added to the metadata of the batch. */
  metadata?: Record<string, string> | undefined;
};
