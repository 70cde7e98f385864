import assert from 'node:assert/strict';
import { type Batch, batchSchema } from '@glyphmill/contract/batch';
import { type Job, jobListSchema } from '@glyphmill/contract/job';
import type { Caller } from './api-setup.ts';
import { until } from './queue-setup.ts';

/** Long enough also where many tests share few cores. */
export const longMs = 120_000;

export const s3Item = (key: string, more: object = {}) => ({
  source: { type: 's3', bucket: 'in-box', key },
  ...more,
});

/** JSON lines that name `count` documents. */
export function manifestOf(count: number): string {
  return Array.from(
    { length: count },
    (_, index) => `${JSON.stringify(s3Item(`${index}.png`, { metadata: { line: `${index}` } }))}\n`,
  ).join('');
}

/** Submits a batch that must be accepted. */
export async function submitBatch(
  caller: Caller,
  json: object,
  headers: Record<string, string> = {},
): Promise<Batch> {
  const answer = await caller.call('POST', '/v1/batches', { json, headers });
  assert.equal(answer.status, 202, answer.text);
  return batchSchema.parse(answer.json());
}

export async function getBatch(caller: Caller, id: string): Promise<Batch> {
  return batchSchema.parse((await caller.get(`/v1/batches/${id}`)).json());
}

/** The batch, once no more jobs are made of it. */
export function ingested(caller: Caller, id: string): Promise<Batch> {
  return batchOnce(caller, id, ({ ingest }) => ingest.state !== 'running' && ingest.state !== 'waiting');
}

/** The batch, once it is as it should be. */
export function batchOnce(caller: Caller, id: string, isIt: (batch: Batch) => boolean): Promise<Batch> {
  let last: Batch | undefined;
  const find = async () => {
    last = await getBatch(caller, id);
    return isIt(last) && last;
  };
  return until(`the batch to be as it should`, find, longMs).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`);
  });
}

/** All jobs of a batch, page by page. */
export async function itemsOf(caller: Caller, id: string, query = ''): Promise<Job[]> {
  const items: Job[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const from = cursor === '' ? '' : `&cursor=${cursor}`;
    const page = jobListSchema.parse(
      (await caller.get(`/v1/batches/${id}/items?limit=100${query}${from}`)).json(),
    );
    items.push(...page.data);
    cursor = page.nextCursor;
  }
  return items;
}
