import type { SampleDocument } from './sample-lines.ts';

/** One line of the table that the bench prints. */
export interface Row {
  what: string;
  figure: string;
  /** What the project asks for, where it asks for something; `met` is left out where this run is too short to tell. */
  target?: { text: string; met?: boolean };
}

/** What one measurement found: `figures` for the JSON, `rows` for the table. */
export interface Measurement {
  figures: object;
  rows: Row[];
}

/** What every measurement is given. */
export interface BenchContext {
  /** Few short rounds: shows that all works, and what the figures are about. */
  quick: boolean;
  /** What was asked for of a measurement that runs for a time. */
  seconds: number | undefined;
  /** An empty folder that is removed at the end. */
  folder: string;
  /** Says how far it is, on standard error. */
  note: (text: string) => void;
}

/** What a measurement of models is given besides. */
export interface ModelBenchContext extends BenchContext {
  /** Holds the default models as they are imported. */
  repository: string;
  /** The samples with their lines, cut out as a worker does; made at the first call. */
  documents: () => Promise<SampleDocument[]>;
}
