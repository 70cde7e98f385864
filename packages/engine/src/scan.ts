import { setMaxListeners } from 'node:events';
import type { Warning } from '@glyphmill/contract/job';
import type { Mode, Options } from '@glyphmill/contract/request';
import type { Page, ServedModel } from '@glyphmill/contract/result';

export interface ReadRequest {
  mode: Mode;
  options: Options;
  /** Of the recogniser; default: the newest that is served. */
  modelVersion?: string;
  signal: AbortSignal;
  /** Called when a decoding child takes the document: before that it only waits. */
  onBegin?: () => void;
  onProgress?: (progress: ScanProgress) => void;
}

export interface ScanProgress {
  pagesTotal: number;
  pagesDone: number;
  /** Of the pages decoded so far. */
  megapixels: number;
}

/** One document on its way: its pages as they are read, and what there is to say of them. */
export class Scan {
  readonly request: ReadRequest;
  /** Fires with the caller's signal, or when one page has failed: the others then stop too. */
  readonly signal: AbortSignal;
  readonly warnings: Warning[] = [];
  readonly #own = new AbortController();
  readonly #pages: Promise<Page>[] = [];
  readonly #served = new Map<string, ServedModel>();
  #pagesTotal = 0;
  #pagesDone = 0;
  #megapixels = 0;

  constructor(request: ReadRequest) {
    this.request = request;
    this.signal = AbortSignal.any([request.signal, this.#own.signal]);
    // Every line that waits listens to it; there may be thousands, and each stops listening when it is read.
    setMaxListeners(0, this.signal);
  }

  begin(pagesTotal: number): void {
    this.#pagesTotal = pagesTotal;
    if (pagesTotal > 1) this.#report();
  }

  /** Adds a page of this size in pixels whose lines are being read. */
  add(page: Promise<Page>, { width, height }: { width: number; height: number }): void {
    this.#pages.push(page);
    this.#megapixels += (width * height) / 1e6;
    // Of a single page the end is no news: the result is.
    if (this.#pagesTotal === 1) this.#report();
    page.then(
      () => {
        this.#pagesDone += 1;
        if (this.#pagesTotal > 1) this.#report();
      },
      (error: unknown) => this.fail(error),
    );
  }

  /** Stops everything that is under way for this document; the first reason counts. */
  fail(error: unknown): void {
    this.#own.abort(error);
  }

  /** Of what served an item, the model alone goes into the result. */
  note({ role, name, version, sha256, provider }: ServedModel): void {
    this.#served.set(`${role}/${name}/${version}/${provider}`, { role, name, version, sha256, provider });
  }

  /** The models that took part, in the order of their first use. */
  get served(): ServedModel[] {
    return [...this.#served.values()];
  }

  /** Resolves to all pages once they are read and nothing is under way; throws the first reason to stop. */
  async pages(): Promise<Page[]> {
    const settled = await Promise.allSettled(this.#pages);
    this.signal.throwIfAborted();
    return settled.flatMap((page) => (page.status === 'fulfilled' ? [page.value] : []));
  }

  #report(): void {
    this.request.onProgress?.({
      pagesTotal: this.#pagesTotal,
      pagesDone: this.#pagesDone,
      megapixels: this.#megapixels,
    });
  }
}
