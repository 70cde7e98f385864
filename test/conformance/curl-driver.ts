// The cases done as a shell script would do them: with curl, openssl's digest, and nothing of ours.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Assignment, CaseInput, Json, Outcome, Step } from './case.ts';
import { type CurlAnswer, type CurlCall, CurlError, curl, repeat } from './curl.ts';
import { filled } from './driver.ts';

const casesAtOnce = 8;

export async function runWithCurl(assignments: Assignment[], dir: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const left = [...assignments.entries()];
  async function work(): Promise<void> {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, assignment] = next;
      outcomes[index] = await runAssignment(assignment, dir);
    }
  }
  await Promise.all(Array.from({ length: casesAtOnce }, work));
  return outcomes;
}

async function runAssignment(assignment: Assignment, dir: string): Promise<Outcome> {
  const kept: Record<string, Json> = {};
  let value: Json = null;
  try {
    for (const step of assignment.steps) {
      value = await perform(filled(step, kept), { ...assignment, dir });
      if (step.as !== undefined) kept[step.as] = value;
    }
    return { value, kept };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const status = 'status' in error ? Number(error.status) : undefined;
    const code = 'code' in error ? String(error.code) : undefined;
    return { kept, error: { name: error.name, message: error.message, status, code } };
  }
}

class Refused extends Error {
  override readonly name: string;
  readonly status: number;
  readonly code: string | undefined;

  constructor({ status, body }: CurlAnswer, name = 'ProblemError') {
    super(body.slice(0, 300));
    this.name = name;
    this.status = status;
    try {
      this.code = JSON.parse(body).code;
    } catch {
      this.code = `http-${status}`;
    }
  }
}

function failed(name: string, message: string): CurlError {
  return Object.assign(new CurlError(message), { name });
}

type Context = Assignment & { dir: string };

async function perform(step: Step, context: Context): Promise<Json> {
  const { baseUrl, keys, client, dir } = context;
  const { id = '', number = 0, options = {} } = step;
  const key = keys[step.key ?? 'owner'];

  async function answer(path: string, call: Omit<CurlCall, 'url'> = {}): Promise<CurlAnswer> {
    const retries = client.maxRetries ?? 4;
    const got = await curl(dir, {
      timeoutMs: client.timeoutMs,
      retries,
      key,
      ...call,
      url: `${baseUrl}${path}`,
    });
    if (got.status >= 300 && got.status < 400) throw new Refused(got, 'RedirectError');
    if (got.status >= 400) throw new Refused(got);
    return got;
  }
  const ask = async (path: string, call?: Omit<CurlCall, 'url'>): Promise<Json> => {
    const { body } = await answer(path, call);
    return body === '' ? null : JSON.parse(body);
  };
  const post = (path: string, call: Omit<CurlCall, 'url'> = {}) => ask(path, { ...call, method: 'POST' });

  async function list(path: string, query: Record<string, Json> = {}): Promise<Json[]> {
    const found: Json[] = [];
    const asked = new URLSearchParams({ limit: '100' });
    for (const [name, value] of Object.entries(query)) asked.set(name, String(value));
    for (;;) {
      const page: { data: Json[]; nextCursor: string | null } = Object(await ask(`${path}?${asked}`));
      found.push(...page.data);
      if (page.nextCursor === null) return found;
      asked.set('cursor', page.nextCursor);
    }
  }
  const untilEnded = (
    path: string,
    isOver: (seen: { status: string; finishedAt: string | null }) => boolean,
  ) =>
    repeat<Json>(
      async () => {
        const seen = await ask(`${path}?wait=${options.timeoutMs === undefined ? 20 : 1}`);
        return isOver(Object(seen)) ? seen : undefined;
      },
      { untilMs: Date.now() + Number(options.timeoutMs ?? 30_000) },
    );

  async function upload(bytes: Buffer): Promise<Json> {
    const json = { contentType: 'application/octet-stream', sizeBytes: bytes.length };
    const place = Object(await post('/v1/uploads', { json }));
    const got = await curl(dir, { method: 'PUT', url: place.url, headers: place.headers, bytes, retries: 4 });
    if (got.status >= 300) throw new Refused(got, 'UploadError');
    return { type: 'upload', uploadId: place.uploadId };
  }
  async function toSource(input: CaseInput | undefined): Promise<Json> {
    const document = await open(input, dir);
    if (!Buffer.isBuffer(document)) return document;
    if (document.length > 4_000_000) return await upload(document);
    return { type: 'inline', contentType: contentTypeOf(document), data: document.toString('base64') };
  }
  const idempotency = ({ idempotencyKey, ...rest }: Record<string, Json>) => ({
    headers: { 'Idempotency-Key': String(idempotencyKey ?? randomUUID()) },
    rest,
  });

  const job = `/v1/jobs/${encodeURIComponent(id)}`;
  const batch = `/v1/batches/${encodeURIComponent(id)}`;
  switch (step.do) {
    case 'models':
      return Object(await ask('/v1/models')).data;
    case 'limits':
      return await ask('/v1/limits');
    case 'recognize': {
      const document = await open(step.input, dir);
      if (!Buffer.isBuffer(document))
        return await post('/v1/recognize', { json: { source: document, ...options } });
      const fields = Object.entries(options).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]);
      return await post('/v1/recognize', {
        bytes: document,
        field: 'image',
        fields: Object.fromEntries(fields),
      });
    }
    case 'uploads.create':
      return await post('/v1/uploads', { json: { contentType: 'image/png', sizeBytes: 10, ...options } });
    case 'uploads.send': {
      const document = await open(step.input, dir);
      return Buffer.isBuffer(document) ? await upload(document) : document;
    }
    case 'webhooks.unwrap':
      return unwrap(step.webhook);
    case 'jobs.create': {
      const { headers, rest } = idempotency(options);
      return await post('/v1/jobs', { json: { source: await toSource(step.input), ...rest }, headers });
    }
    case 'jobs.get':
      return await ask(job);
    case 'jobs.list':
      return await list('/v1/jobs', options);
    case 'jobs.cancel':
      return await post(`${job}/cancel`);
    case 'jobs.retry':
      return await post(`${job}/retry`, { retries: 0 });
    case 'jobs.delete':
      return await ask(`${job}${options.cancel ? '?cancel=true' : ''}`, { method: 'DELETE' });
    case 'jobs.result':
      return await ask(`${job}/result`);
    case 'jobs.text':
      return (await answer(`${job}/result?format=text`)).body;
    case 'jobs.pages':
      return await list(`${job}/pages`);
    case 'jobs.page':
      return await ask(`${job}/pages/${number}`);
    case 'jobs.events': {
      const { lastEventId } = options;
      const headers: Record<string, string> =
        lastEventId === undefined ? {} : { 'Last-Event-ID': String(lastEventId) };
      return eventsOf((await answer(`${job}/events`, { headers })).body);
    }
    case 'jobs.wait':
      return await untilEnded(job, ({ status }) => !['queued', 'running', 'canceling'].includes(status));
    case 'batches.create': {
      const { headers, rest } = idempotency(options);
      const items =
        step.items &&
        (await Promise.all(
          step.items.map(async ({ input, ...own }) => ({ ...own, source: await toSource(input) })),
        ));
      return await post('/v1/batches', { json: { ...rest, ...(items && { items }) }, headers });
    }
    case 'batches.get':
      return await ask(batch);
    case 'batches.list':
      return await list('/v1/batches');
    case 'batches.items':
      return await list(`${batch}/items`, options);
    case 'batches.results':
      return (await answer(`${batch}/results`)).body
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
    case 'batches.cancel':
      return await post(`${batch}/cancel`);
    case 'batches.retryFailed':
      return await post(`${batch}/retry-failed`, { retries: 0 });
    case 'batches.wait':
      return await untilEnded(batch, ({ finishedAt }) => finishedAt !== null);
  }
}

/** Bytes, or a source of the API. */
async function open(input: CaseInput | undefined, dir: string): Promise<Buffer | Json> {
  const bytes = input && (await read(input, dir));
  if (bytes === undefined) throw failed('InputError', 'there is no such document');
  if (Buffer.isBuffer(bytes) && bytes.length === 0) throw failed('InputError', 'the document is empty');
  return bytes;
}

async function read(input: CaseInput, dir: string): Promise<Buffer | Json | undefined> {
  if ('bytes' in input) return Buffer.from(input.bytes);
  if ('filler' in input) return Buffer.alloc(input.filler, 'x');
  if ('path' in input) return Buffer.from(input.path);
  if ('stream' in input) return Buffer.from(input.stream);
  if ('file' in input) return Buffer.from(input.file);
  if ('url' in input) {
    const { status, body } = await curl(dir, { url: input.url, retries: 0 });
    return status < 300 ? Buffer.from(body) : undefined;
  }
  if ('s3' in input) {
    const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(input.s3) ?? [];
    return bucket === undefined || key === undefined ? undefined : { type: 's3', bucket, key };
  }
  if (!('source' in input)) return undefined;
  return typeof input.source === 'string'
    ? await readFile(input.source).catch(() => undefined)
    : input.source;
}

function contentTypeOf(bytes: Buffer): string {
  return bytes.subarray(0, 4).toString('latin1') === 'GIF8' ? 'image/gif' : 'application/octet-stream';
}

function eventsOf(text: string): Json[] {
  return text.split(/\r?\n\r?\n/).flatMap((block) => {
    const lines = block.split(/\r?\n/).map((line) => /^(\w+): ?(.*)$/.exec(line));
    const field = (name: string) => lines.flatMap((line) => (line?.[1] === name ? [line[2] ?? ''] : []));
    const data = field('data').join('\n');
    return data === ''
      ? []
      : [{ type: field('event').join(), id: field('id').join(), job: JSON.parse(data) }];
  });
}

/** As in the lines of the documentation: `openssl dgst -sha256 -hmac`. */
function unwrap(webhook: Step['webhook']): Json {
  const { body = '', headers = {}, secret = '', nowMs = 0 } = webhook ?? {};
  const header = (name: string) =>
    Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1] ?? '';
  const timestamp = header('webhook-timestamp');
  const isRecent = Math.abs(nowMs / 1000 - Number(timestamp)) <= 300;
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key)
    .update(`${header('webhook-id')}.${timestamp}.${body}`)
    .digest();
  const isSigned = header('webhook-signature')
    .split(' ')
    .some((signature) => {
      const given = Buffer.from(signature.replace(/^v1,/, ''), 'base64');
      return (
        signature.startsWith('v1,') && given.length === expected.length && timingSafeEqual(given, expected)
      );
    });
  if (!isRecent || !isSigned) throw failed('WebhookVerificationError', 'it is not believed');
  return JSON.parse(body);
}
