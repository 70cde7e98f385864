/**
 * Why an item was not read.
 *   overloaded            the queue is full; nothing was queued
 *   queue-timeout         the item waited longer than its queue policy allows
 *   bad-input             the image does not fit the model
 *   bad-output            the model gave numbers that mean nothing (NaN, a wrong shape)
 *   run-failed            the runtime refused the inference
 *   crashes-instance      the item alone ended or hung its instance again and again
 *   no-instance           no instance is left to run the model
 *   provider-unavailable  the execution provider asked for does not work here
 *   start-failed          the model could not be loaded
 *   closed                the models were closed first
 */
export type ModelErrorCode = keyof typeof permanence;

/** Whether the same item fails again wherever it is run. */
const permanence = {
  overloaded: false,
  'queue-timeout': false,
  'bad-input': true,
  'bad-output': true,
  'run-failed': true,
  'crashes-instance': true,
  'no-instance': false,
  'provider-unavailable': false,
  'start-failed': false,
  closed: false,
} as const;

export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;
  readonly permanent: boolean;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.permanent = permanence[code];
  }
}
