import type { Expected } from './ledger.ts';
import type { Environment, FaultSystem } from './system.ts';

/** One row of the fault matrix. */
export interface Row {
  number: number;
  fault: string;
  /** What is held against the system, besides P1 to P5, which every row checks. */
  promise: string;
  /** Also runs in `npm test`. */
  quick?: true;
  /** Its fault touches its own jobs only, so that such rows of a group run at the same time. */
  together?: true;
  /** Throws where the promise was not kept, and `Skip` where it cannot be tried here. Answers with figures seen. */
  run(system: FaultSystem): Promise<string>;
}

/** Rows that share a system: one after the other, those that may run together last. */
export interface Group {
  name: string;
  rows: Row[];
  /** Changes to the environment of the processes; the directory is for files that these need. */
  env?: (dir: string) => Environment | Promise<Environment>;
  /** How a line document ends here where it is not read as what it says. */
  canary?: Expected;
}

/** What a row needs is not on this machine; the message says what. */
export class Skip extends Error {
  override readonly name = 'Skip';
}

export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
