// What clients of Glyphmill have to do, as data: every client runs every case, and the same code judges what came of it.

const drivers = ['typescript', 'chromium', 'python', 'python-async', 'curl'] as const;
export type Driver = (typeof drivers)[number];

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** A document as clients are given it. */
export type CaseInput =
  | { bytes: string }
  /** So many bytes. */
  | { filler: number }
  | { path: string }
  /** Of the server of scripts, below the case's own address. */
  | { url: string }
  | { s3: string }
  | { stream: string }
  /** A File, or an open file. */
  | { file: string }
  /** A picture in memory: ImageData, or an array of numpy. */
  | { picture: { width: number; height: number } }
  /** A source of the API as it is. */
  | { source: Json };

export type Operation =
  | 'recognize'
  | 'models'
  | 'limits'
  | 'uploads.create'
  | 'uploads.send'
  | 'webhooks.unwrap'
  | `jobs.${'create' | 'get' | 'list' | 'cancel' | 'retry' | 'delete' | 'result' | 'text' | 'pages' | 'page' | 'events' | 'wait'}`
  | `batches.${'create' | 'get' | 'list' | 'items' | 'results' | 'cancel' | 'retryFailed' | 'wait'}`;

/** One call. A text of the form `$name.field` stands for what an earlier one gave. */
export interface Step {
  do: Operation;
  input?: CaseInput;
  /** Of a batch. */
  items?: ({ input: CaseInput } & { [name: string]: Json | CaseInput })[];
  id?: string;
  number?: number;
  options?: { [name: string]: Json };
  webhook?: { body: string; headers: Record<string, string>; secret: string; nowMs: number };
  /** Keeps what the call gives under this name. */
  as?: string;
  /** Whose API key is used. */
  key?: KeyName;
}

export type KeyName = 'owner' | 'reader' | 'narrow' | 'stranger' | 'wrong';

/** What the server of scripts answers. In texts `$base` is the case's own address. */
export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  json?: Json;
  text?: string;
  /** Before anything is sent. */
  delayMs?: number;
  /** Breaks the connection off: in place of an answer, or in the middle of one. */
  reset?: 'before' | 'within';
}

/** Matches when each field named is there and matches; `{ matches }` is a regular expression, `{ length }` of a list. */
export type Pattern = Json;

export interface Case {
  name: string;
  /** Put into the bucket before, by their keys below the case's own prefix. */
  objects?: Record<string, string>;
  /** Answers in this order, the last of them again and again, in place of the API. */
  script?: Reply[];
  client?: { timeoutMs?: number; maxRetries?: number };
  steps: Step[];
  expect: {
    /** Of the last step. */
    value?: Pattern;
    /** Of the last step: a code of the API, or the name of an error of the client itself. */
    error?: { code?: string; name?: string; status?: number };
    /** Of what steps kept. */
    kept?: Record<string, Pattern>;
    /** Pairs of texts like `$name.field`. */
    same?: [string, string][];
    different?: [string, string][];
    /** Requests that the server of scripts got, all of them. A header that is null must not be there. */
    seen?: { method?: string; path?: Pattern; headers?: Record<string, Json>; body?: Pattern }[];
    /** All requests bear the same one. */
    sameIdempotencyKey?: true;
    /** Between the first request and the last. */
    leastMs?: number;
    mostMs?: number;
  };
  /** Clients that cannot do this, and why. */
  not?: Partial<Record<Driver, string>>;
}

/** A case as a client gets it: all but what the client itself has to fill in. */
export interface Assignment {
  baseUrl: string;
  keys: Record<KeyName, string>;
  client: { timeoutMs?: number; maxRetries?: number };
  steps: Step[];
}

/** What came of a case. */
export interface Outcome {
  value?: Json;
  kept: Record<string, Json>;
  error?: { name: string; message: string; code?: string | undefined; status?: number | undefined };
}
