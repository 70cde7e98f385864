import { openInput } from './document.ts';
import type { Call, CallOptions, Http } from './http.ts';
import type { Document, Input } from './input.ts';
import type { Jobs } from './jobs.ts';
import type { CreateJob, Job, Result } from './types.ts';
import { sendUpload } from './uploads.ts';
import { type WaitOptions, withinTime } from './wait.ts';

export interface RecognizeOptions
  extends Pick<CreateJob, 'mode' | 'model' | 'modelVersion' | 'options' | 'cache'>,
    Omit<CallOptions, 'timeoutMs'>,
    WaitOptions {}

/** The API holds a call this long before it tells of a job instead. */
const heldSeconds = 30;
/** The API's own limit for the body of a call may be higher. */
const bodyBytes = 32_000_000;

/** Reads a document and gives what stands in it. Throws a JobFailedError where it cannot be read. */
export async function recognize(
  { http, jobs }: { http: Http; jobs: Jobs },
  input: Input,
  { signal: given, timeoutMs, ...settings }: RecognizeOptions,
): Promise<Result> {
  return await withinTime('The reading', { signal: given, timeoutMs }, async ({ signal, leftMs }) => {
    const document = await openInput(http, input, signal);
    const body = await bodyOf(http, document, { settings, signal });
    const seconds = Math.min(heldSeconds, Math.ceil(leftMs() / 1000));
    const { status, text } = await http.send({
      ...body,
      method: 'POST',
      path: '/v1/recognize',
      query: { timeout: seconds },
      timeoutMs: http.timeoutMs + seconds * 1000,
      signal,
    });
    if (status === 200) return JSON.parse(text);
    const job: Job = JSON.parse(text);
    await jobs.wait(job.id, { signal, timeoutMs: leftMs() });
    return await jobs.result(job.id, { signal });
  });
}

type Settings = Omit<RecognizeOptions, 'signal' | 'timeoutMs'>;

async function bodyOf(
  http: Http,
  document: Document,
  { settings, signal }: { settings: Settings; signal: AbortSignal },
): Promise<Pick<Call, 'json' | 'body'>> {
  if (document.kind === 'source') return { json: { source: document.source, ...settings } };
  const { bytes, contentType } = document;
  if (bytes.length > bodyBytes) {
    return { json: { source: await sendUpload(http, { bytes, contentType }, { signal }), ...settings } };
  }
  const form = new FormData();
  // What comes with the call is always read: there is nothing to say of the cache.
  const { options, cache: _, ...plain } = settings;
  for (const [name, value] of Object.entries(plain)) if (value != null) form.set(name, String(value));
  if (options !== undefined) form.set('options', JSON.stringify(options));
  form.set('image', new Blob([bytes], { type: contentType }), 'document');
  return { body: form };
}
