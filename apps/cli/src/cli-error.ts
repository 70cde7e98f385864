export const exitCodes = { failed: 1, usage: 2, unreachable: 3 } as const;

/** An error whose message is all that the person at the terminal needs. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(kind: keyof typeof exitCodes, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCodes[kind];
  }
}
