import { type Failure, type FailureCode, JobFailure } from '@glyphmill/contract/failure';
import { ModelError } from '@glyphmill/inference/model-error';

/** Runs a step at one page; what a model threw becomes the failure it means for the job. */
export async function atPage<T>(
  page: number,
  phase: 'detect' | 'recognize',
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const code: FailureCode = error.permanent ? 'model-error' : 'model-unavailable';
    throw new JobFailure(
      {
        code,
        message: `Page ${page} could not be read: ${error.message}`,
        retryable: !error.permanent,
        phase,
        page,
      },
      { cause: error },
    );
  }
}

/** What a page failed with for good; undefined for an error that stops the whole document, to be tried again. */
export function pageFailure(error: unknown): Failure | undefined {
  return error instanceof JobFailure && !error.failure.retryable ? error.failure : undefined;
}
