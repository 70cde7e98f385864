import type { IngestError } from '@glyphmill/contract/batch';

/** The rest of a batch's source can become no jobs, however often it is tried. */
export class IngestFailure extends Error {
  override readonly name = 'IngestFailure';
  readonly reason: IngestError;

  constructor(reason: IngestError, options?: ErrorOptions) {
    super(reason.message, options);
    this.reason = reason;
  }
}
