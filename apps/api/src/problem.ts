import { type ProblemBody, type ProblemCode, problemSchema, problems } from '@glyphmill/contract/problem';

export interface ProblemOptions {
  /** For people: what was expected, what came, what to do. */
  detail: string;
  errors?: ProblemBody['errors'];
  retryAfterSeconds?: number;
  /** Set where it depends on more than the code. */
  retryable?: boolean;
  headers?: Record<string, string>;
}

/** Thrown to end a request with an RFC 9457 answer. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, options: ProblemOptions) {
    super(options.detail);
    this.code = code;
    this.options = options;
  }
}

export const problemMediaType = 'application/problem+json';

/** Codes after which the same request, sent again later, may succeed. */
const retryableCodes: ReadonlySet<ProblemCode> = new Set([
  'job-not-finished',
  'idempotency-in-progress',
  'quota-exceeded',
  'request-timeout',
  'queue-full',
  'too-many-streams',
  'queue-unavailable',
  'storage-unavailable',
]);

export function problemBody(problem: Problem, request: { id: string; url: string }): ProblemBody {
  const { status, title } = problems[problem.code];
  const { detail, errors, retryable = retryableCodes.has(problem.code) } = problem.options;
  return {
    type: `urn:glyphmill:problem:${problem.code}`,
    title,
    status,
    code: problem.code,
    detail,
    // Without the query: addresses are logged and shown, and callers put all sorts of things there.
    instance: request.url.split('?', 1)[0] ?? '',
    requestId: request.id,
    retryable,
    ...(errors === undefined ? {} : { errors }),
  };
}

/** The `response` entries of a route's schema for the problems it may answer with. */
export function problemResponses(...codes: ProblemCode[]) {
  const statuses = new Set(codes.map((code) => problems[code].status));
  return Object.fromEntries(
    [...statuses].map((status) => [
      status,
      {
        description: codes
          .filter((code) => problems[code].status === status)
          .map((code) => `\`${code}\`: ${problems[code].title}.`)
          .join(' '),
        content: { [problemMediaType]: { schema: problemSchema } },
      },
    ]),
  );
}
