import { setTimeout as delay } from 'node:timers/promises';
import { failureCodeSchema, JobFailure } from '@glyphmill/contract/failure';
import type { Attempt } from '@glyphmill/queue/attempt';
import {
  type Api,
  outcomeOf,
  resultOf,
  startApi,
  startStores,
  startWorker,
} from '../integration/api-setup.ts';
import type { KeyName } from './case.ts';

export const bucket = 'documents';
/** Some of the documents take as long as they are let. */
const concurrency = 100;

/** The real API on a real Redis and S3, and a worker that does what documents say instead of reading them. */
export async function startConformanceApi() {
  const corsOrigins = ['*'];
  const stores = await startStores(undefined, corsOrigins);
  const api = await startApi(stores, { CORS_ORIGINS: corsOrigins.join() });
  await api.objects.ensureBucket(bucket);
  const worker = await startWorker(
    api,
    async (attempt, { signal, begin, progress }) => {
      begin();
      const { document } = attempt.task;
      const { bytes } = await api.objects.read(document, { maxBytes: 20_000_000, signal });
      const [order = '', ...rest] = bytes.subarray(0, 1000).toString().trim().split(' ');
      const pages = await obey(attempt, { order, value: rest.join(' '), sizeBytes: bytes.length, signal });
      progress({ pagesTotal: pages.length, pagesDone: pages.length, pagesFailed: 0, megapixels: 0.1 });
      const json = JSON.stringify(resultWith(attempt.jobId, pages));
      const outcome = outcomeOf({ kind: 'inline', json });
      return { ...outcome, usage: { ...outcome.usage, pages: pages.length } };
    },
    { concurrency },
  );
  let tenants = 0;
  return {
    api,
    /** A tenant of its own for each case, so that lists have nobody else's jobs. */
    keys(prefix: string): Record<KeyName, string> {
      tenants += 1;
      const tenant = `t${tenants}`;
      const keyOf = (options: Parameters<Api['caller']>[0]) => api.caller(options).key ?? '';
      return {
        owner: keyOf({ tenant }),
        reader: keyOf({ tenant, scopes: ['jobs:read'] }),
        narrow: keyOf({ tenant, buckets: [{ bucket, prefix: `${prefix}/mine/` }] }),
        stranger: keyOf({ tenant: `${tenant}-other` }),
        wrong: 'gm_nobody_nothing',
      };
    },
    async close(): Promise<void> {
      await worker.close();
      // A connection that was made and never used would hold it up for a minute.
      api.app.server.closeAllConnections();
      await api.close();
      await stores.stop();
    },
  };
}

interface Order {
  order: string;
  value: string;
  sizeBytes: number;
  signal: AbortSignal;
}

/** The pages' texts. */
async function obey(
  { task, number }: Attempt,
  { order, value, sizeBytes, signal }: Order,
): Promise<string[]> {
  switch (order) {
    case 'say':
      return [value];
    case 'pages':
      return Array.from({ length: Number(value) }, (_, index) => `page ${index + 1}`);
    case 'slow':
      await delay(Number(value), undefined, { signal });
      return ['slowly'];
    case 'echo': {
      const { mode, model, options } = task;
      return [JSON.stringify({ mode, model, options })];
    }
    case 'fail':
      throw failure(value);
    case 'fail-first':
      if (number === 1) throw failure(value);
      return ['at last'];
    default:
      return [`${sizeBytes} bytes`];
  }
}

function failure(code: string): JobFailure {
  const parsed = failureCodeSchema.parse(code);
  return new JobFailure({
    code: parsed,
    message: 'The document said so.',
    retryable: false,
    phase: 'decode',
  });
}

function resultWith(jobId: string, texts: string[]) {
  const pages = texts.map((text, index) => ({
    number: index + 1,
    status: 'succeeded' as const,
    width: 100,
    height: 50,
    unit: 'px' as const,
    rotation: 0,
    text,
    lines: [{ id: 'l1', text, confidence: 0.9, polygon: [0, 0, 9, 0, 9, 9, 0, 9], bbox: [0, 0, 9, 9] }],
    error: null,
    timings: { decodeMs: 1, detectMs: 1, recognizeMs: 1 },
  }));
  return { ...resultOf(jobId, texts.join('\f')), pages };
}
