import { JobFailure } from '@glyphmill/contract/failure';
import { isFinal } from '@glyphmill/contract/job';
import { pageKey } from '@glyphmill/contract/object-key';
import { selectPages } from '@glyphmill/contract/page-range';
import { type PageList, pageListSchema, pageSchema } from '@glyphmill/contract/result';
import type { JobRecord } from '@glyphmill/queue/job-record';
import { z } from 'zod';
import { callerOf } from './authenticate.ts';
import type { App, Dependencies } from './dependencies.ts';
import { pollAfterSeconds } from './job-view.ts';
import { getJob, jobParamsSchema, listLimitMax, readProblems } from './jobs.ts';
import { Problem, problemResponses } from './problem.ts';
import { chooseFormat, mediaTypes } from './result-format.ts';
import { hasResult, readResult } from './results.ts';

const maxPageBytes = 64 * 1024 * 1024;
const readTimeoutMs = 30_000;

type PageStatus = PageList['data'][number]['status'];

/** The pages of a job: while it runs as they are read, and after its end from its result. */
export function addPageRoutes(app: App, dependencies: Dependencies): void {
  const baseUrl = dependencies.config.publicUrl ?? '';

  app.get(
    '/v1/jobs/:id/pages',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'listPages',
        summary: 'List the pages of a job, also while it runs',
        description: 'Empty until the document has been opened.',
        tags: ['results'],
        params: jobParamsSchema,
        querystring: z.strictObject({
          cursor: z.coerce
            .number()
            .int()
            .positive()
            .optional()
            .describe('The nextCursor of the list before: its last page.'),
          limit: z.coerce.number().int().min(1).max(listLimitMax).default(listLimitMax),
        }),
        response: {
          200: pageListSchema,
          ...problemResponses(...readProblems, 'result-expired', 'storage-unavailable'),
        },
      },
    },
    async (request) => {
      const { cursor = 0, limit } = request.query;
      const record = await getJob(dependencies, callerOf(request).tenant, request.params.id);
      const left = numbersOf(record).filter((number) => number > cursor);
      const numbers = left.slice(0, limit);
      const statusOf = await readStatuses(dependencies, record);
      return {
        object: 'list' as const,
        data: numbers.map((number) => ({
          number,
          status: statusOf(number),
          href: `${baseUrl}/v1/jobs/${record.id}/pages/${number}`,
        })),
        nextCursor: left.length > numbers.length ? String(numbers.at(-1)) : null,
      };
    },
  );

  app.get(
    '/v1/jobs/:id/pages/:number',
    {
      config: { scope: 'jobs:read' },
      schema: {
        operationId: 'getPage',
        summary: 'Get what was read of one page, also while the job runs',
        tags: ['results'],
        params: jobParamsSchema.extend({ number: z.coerce.number().int().positive() }),
        querystring: z.strictObject({
          format: z.string().max(32).optional().describe('json or text; wins over the Accept header.'),
        }),
        response: {
          200: {
            description: 'The page as it stands in the result.',
            content: { 'application/json': { schema: pageSchema }, 'text/plain': { schema: z.string() } },
          },
          ...problemResponses(
            ...readProblems,
            'format-not-available',
            'job-not-finished',
            'job-failed',
            'job-canceled',
            'page-failed',
            'result-expired',
            'storage-unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const format = chooseFormat(request.query.format, request.headers.accept);
      const { id, number } = request.params;
      const json = await readPage(dependencies, { tenant: callerOf(request).tenant, id, number });
      reply.header('vary', 'accept').type(mediaTypes[format]);
      return reply.send(format === 'json' ? json : textOf(json));
    },
  );
}

/** The numbers of the pages that the job is to read, once its document has been opened. */
function numbersOf({ task, progress: { pagesTotal } }: JobRecord): number[] {
  if (pagesTotal === null) return [];
  const { pages } = task.options;
  // The worker has held a range against the document.
  return selectPages(pages, pages === undefined ? pagesTotal : Number.MAX_SAFE_INTEGER);
}

async function readStatuses(
  dependencies: Dependencies,
  record: JobRecord,
): Promise<(number: number) => PageStatus> {
  if (record.status === 'succeeded') return () => 'succeeded';
  if (record.status === 'partial') {
    const pages = partsSchema.parse(JSON.parse(await readResult(dependencies, record))).pages;
    const statuses = new Map(pages.map(({ number, status }) => [number, status]));
    return (number) => statuses.get(number) ?? 'unread';
  }
  const kept = await dependencies.jobs.keptPages(record.id);
  if (kept.size === 0 && !isFinal(record.status)) {
    // It may have ended meanwhile, and its pages stand in the result.
    const now = await getJob(dependencies, record.tenant, record.id);
    if (hasResult(now)) return readStatuses(dependencies, now);
  }
  return (number) => kept.get(number) ?? 'unread';
}

const partSchema = z.looseObject({ number: z.int(), status: z.enum(['succeeded', 'failed']) });
const partsSchema = z.object({ pages: z.array(partSchema) });

/** A page as JSON. Throws the Problem that says why there is none. */
async function readPage(
  dependencies: Dependencies,
  { tenant, id, number }: { tenant: string; id: string; number: number },
): Promise<string> {
  let record = await getJob(dependencies, tenant, id);
  if (!hasResult(record)) {
    const json = await readKept(dependencies, { id, number });
    if (json !== undefined) return json;
    // It may have ended meanwhile, and its pages stand in the result.
    record = await getJob(dependencies, tenant, id);
  }
  if (!hasResult(record)) throw noPage(record, number);
  const { pages } = partsSchema.parse(JSON.parse(await readResult(dependencies, record)));
  const page = pages.find((candidate) => candidate.number === number);
  if (page === undefined) throw noSuchPage(record);
  return JSON.stringify(page);
}

async function readKept(
  { config, jobs, objects }: Dependencies,
  { id, number }: { id: string; number: number },
): Promise<string | undefined> {
  if (!(await jobs.keptPages(id)).has(number)) return undefined;
  try {
    const place = { bucket: config.s3SystemBucket, key: pageKey(id, number) };
    const signal = AbortSignal.timeout(readTimeoutMs);
    const { bytes } = await objects.read(place, { maxBytes: maxPageBytes, signal });
    return bytes.toString('utf8');
  } catch (error) {
    if (error instanceof JobFailure && error.failure.code === 'source-not-found') return undefined;
    throw error;
  }
}

function noPage(record: JobRecord, number: number): Problem {
  const { status, failure } = record;
  const numbers = numbersOf(record);
  if (numbers.length > 0 && !numbers.includes(number)) return noSuchPage(record);
  if (!isFinal(status)) {
    return new Problem('job-not-finished', {
      detail: `Page ${number} has not been read yet, the job is ${status}; ask again, or follow its events.`,
      retryAfterSeconds: pollAfterSeconds(record, Date.now()) ?? 1,
    });
  }
  if (status === 'canceled') {
    return new Problem('job-canceled', { detail: `The job was canceled before page ${number} was read.` });
  }
  return new Problem('job-failed', {
    detail: `The job ended before page ${number} was read. ${failure?.code ?? 'internal'}: ${failure?.message ?? 'no cause is known'}`,
    retryable: failure?.retryable ?? false,
  });
}

function noSuchPage({ progress: { pagesTotal }, task }: JobRecord): Problem {
  const pages = task.options.pages ?? (pagesTotal === 1 ? '1' : `1-${pagesTotal}`);
  return new Problem('not-found', { detail: `There is no such page; the job reads the pages ${pages}.` });
}

const textSchema = z.object({ text: z.string(), error: z.object({ message: z.string() }).nullable() });

/** An empty text would say that nothing stands on a page that could not be read. */
function textOf(json: string): string {
  const { text, error } = textSchema.parse(JSON.parse(json));
  if (error === null) return text;
  throw new Problem('page-failed', { detail: error.message });
}
