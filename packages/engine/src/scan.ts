import { setMaxListeners } from 'node:events';
import { type Failure, JobFailure } from '@glyphmill/contract/failure';
import type { Warning } from '@glyphmill/contract/job';
import type { Mode, Options } from '@glyphmill/contract/request';
import type { MicroBatch, Page, ServedModel, SucceededPage } from '@glyphmill/contract/result';
import { failedPage } from '@glyphmill/core/assemble';
import type { Served } from '@glyphmill/inference/models';
import { pageFailure } from './failure.ts';
import { MicroBatches } from './micro-batches.ts';
import type { StageObserver } from './stage-observer.ts';

export interface ReadRequest {
  mode: Mode;
  options: Options;
  /** Of the recogniser; default: the newest that is served. */
  modelVersion?: string;
  signal: AbortSignal;
  /** Called when a decoding child takes the document: before that it only waits. */
  onBegin?: () => void;
  onProgress?: (progress: ScanProgress) => void;
  observer?: StageObserver | undefined;
}

export interface ScanProgress {
  pagesTotal: number;
  /** Pages read. */
  pagesDone: number;
  pagesFailed: number;
  /** Of the pages decoded so far. */
  megapixels: number;
  /** The page that has just been read or has failed; absent in a document of one page, whose end is the result. */
  page?: Page;
}

/** One document on its way: its pages as they are read, and what there is to say of them. */
export class Scan {
  readonly request: ReadRequest;
  /** Fires with the caller's signal, or when the document has failed: all its pages then stop. */
  readonly signal: AbortSignal;
  readonly warnings: Warning[] = [];
  readonly #own = new AbortController();
  readonly #pages: Promise<Page>[] = [];
  readonly #served = new Map<string, ServedModel>();
  readonly #microBatches = new MicroBatches();
  readonly #progress = { pagesTotal: 0, pagesDone: 0, pagesFailed: 0, megapixels: 0 };

  constructor(request: ReadRequest) {
    this.request = request;
    this.signal = AbortSignal.any([request.signal, this.#own.signal]);
    // Every line that waits listens to it; there may be thousands, and each stops listening when it is read.
    setMaxListeners(0, this.signal);
  }

  get pagesTotal(): number {
    return this.#progress.pagesTotal;
  }

  begin(pagesTotal: number): void {
    this.#progress.pagesTotal = pagesTotal;
    if (pagesTotal > 1) this.#report();
  }

  /** Adds a page whose lines are being read. Where it alone cannot be read, that is its entry. */
  add(found: { number: number; width: number; height: number }, page: Promise<SucceededPage>): void {
    this.#progress.megapixels += (found.width * found.height) / 1e6;
    // Of a single page the end is no news: the result is.
    if (this.#progress.pagesTotal === 1) this.#report();
    this.#addEntry(
      page.catch((error: unknown) => {
        const failure = this.signal.aborted ? undefined : pageFailure(error);
        if (failure === undefined) throw error;
        return failedPage(found.number, failure);
      }),
    );
  }

  addFailed(number: number, failure: Failure): void {
    this.#addEntry(Promise.resolve(failedPage(number, failure)));
  }

  #addEntry(entry: Promise<Page>): void {
    this.#pages.push(entry);
    entry.then(
      (page) => {
        if (page.status === 'failed') this.#progress.pagesFailed += 1;
        else this.#progress.pagesDone += 1;
        if (this.#progress.pagesTotal > 1) this.#report(page);
      },
      (error: unknown) => this.fail(error),
    );
  }

  /** Stops everything that is under way for this document; the first reason counts. */
  fail(error: unknown): void {
    this.#own.abort(error);
  }

  /** Notes what served an item of this document, for its result to name. */
  note({ role, name, version, sha256, provider, microBatch }: Served): void {
    this.#served.set(`${role}/${name}/${version}/${provider}`, { role, name, version, sha256, provider });
    if (this.request.options.microBatches) this.#microBatches.add(role, microBatch);
  }

  /** Those its items rode in; undefined unless they are asked for. */
  get microBatches(): MicroBatch[] | undefined {
    return this.request.options.microBatches ? this.#microBatches.list() : undefined;
  }

  /** The models that took part, in the order of their first use. */
  get served(): ServedModel[] {
    return [...this.#served.values()];
  }

  /**
   * Resolves to all pages once nothing is under way. Throws the first reason to stop, or the first page's failure
   * when no page could be read.
   */
  async pages(): Promise<Page[]> {
    const settled = await Promise.allSettled(this.#pages);
    this.signal.throwIfAborted();
    const pages = settled.flatMap((page) => (page.status === 'fulfilled' ? [page.value] : []));
    const failures = pages.flatMap(({ error }) => (error === null ? [] : [error]));
    const [first] = failures;
    if (first !== undefined && failures.length === pages.length) throw new JobFailure(first);
    return pages;
  }

  #report(page?: Page): void {
    this.request.onProgress?.({ ...this.#progress, ...(page === undefined ? {} : { page }) });
  }
}
