/** A mistake in a model's directory or config.pbtxt: which file, which field of it, and what to change. */
export class ModelConfigError extends Error {
  override readonly name = 'ModelConfigError';
  readonly file: string;
  readonly field: string;
  readonly problem: string;
  readonly remedy: string;

  constructor(at: { file: string; field: string; problem: string; remedy: string }, options?: ErrorOptions) {
    super(`${at.file}: ${at.field}: ${at.problem}. ${at.remedy}.`, options);
    this.file = at.file;
    this.field = at.field;
    this.problem = at.problem;
    this.remedy = at.remedy;
  }
}

export type Refuse = (field: string, problem: string, remedy: string) => never;

/** Throws for mistakes in one file. */
export function refuser(file: string): Refuse {
  return (field, problem, remedy) => {
    throw new ModelConfigError({ file, field, problem, remedy });
  };
}
