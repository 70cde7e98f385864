import type { ProblemBody } from '@glyphmill/contract/problem';
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { Problem } from './problem.ts';

/** Faults named in one answer, at most. */
const maxErrors = 20;
/** Names of unknown fields are the caller's and may be as long as the body. */
const maxNameLength = 100;

/** Validates with zod and hands its error on whole: the error handler makes pointers of it. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data: unknown) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? { value: parsed.data } : { error: parsed.error };
  };

type Fault = NonNullable<ProblemBody['errors']>[number];

/** Parses a body that a route reads itself. Throws the Problem that it means for the caller. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalid(parsed.error, 'body');
  return parsed.data;
}

/** What a failed validation of the named part of the request (`body`, `querystring`, `params`) means. */
export function invalid(error: z.ZodError, part: string): Problem {
  // An id that is none cannot be the id of anything.
  if (part === 'params') return new Problem('not-found', { detail: 'There is nothing under this id.' });
  const unknownFields = error.issues.flatMap(unknownFieldsOf);
  const code = unknownFields.length > 0 ? 'unknown-field' : 'validation-failed';
  const faults = (unknownFields.length > 0 ? unknownFields : error.issues.map(faultOf)).slice(0, maxErrors);
  const detail = faults.map((fault) => `${nameOf(fault, part)}: ${fault.detail}`).join('; ');
  return new Problem(code, part === 'body' ? { detail, errors: faults } : { detail });
}

function unknownFieldsOf(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code !== 'unrecognized_keys') return [];
  return issue.keys.map((key) => ({
    pointer: pointerTo([...issue.path, key.slice(0, maxNameLength)]),
    detail: 'this call knows no such field',
  }));
}

function faultOf(issue: z.core.$ZodIssue): Fault {
  return { pointer: pointerTo(issue.path), detail: issue.message };
}

function nameOf({ pointer }: Fault, part: string): string {
  if (part === 'body') return pointer === '' ? 'The body' : pointer;
  return `Query parameter ${pointer.slice(1)}`;
}

/** RFC 6901. */
function pointerTo(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
