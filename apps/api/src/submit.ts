import { newId } from '@glyphmill/contract/id';
import type { Task } from '@glyphmill/contract/message';
import type { CreateJob } from '@glyphmill/contract/request';
import { isRefusal } from '@glyphmill/queue/errors';
import type { IdempotencyKey } from '@glyphmill/queue/idempotency';
import type { Submitted } from '@glyphmill/queue/submit';
import type { ApiKeyEntry } from '@glyphmill/service/api-key';
import type { Dependencies } from './dependencies.ts';
import { Problem } from './problem.ts';
import { checkSource, placesOf } from './source-access.ts';
import { findUpload } from './uploads.ts';
import { webhookTarget } from './webhook-target.ts';

type Kept = Exclude<CreateJob['source'], { type: 'inline' }>;
export type Source = Kept | { type: 'inline'; contentType: string; bytes: Buffer };

/** A job to be: a validated request whose inline document has been decoded. */
export type Submission = Omit<CreateJob, 'source'> & { source: Source };

export function decodeSource(source: CreateJob['source']): Source {
  if (source.type !== 'inline') return source;
  const { type, contentType, data } = source;
  return { type, contentType, bytes: Buffer.from(data, 'base64') };
}

/** Time that storing an inline document may take. */
const storeTimeoutMs = 15_000;

/**
 * Checks what a schema cannot, stores an inline document, and enqueues: the job is durable when this resolves. Throws
 * Problem, IdempotencyConflict, QueueUnavailable, what `isRefusal` names, or a JobFailure of the store.
 */
export async function submit(
  dependencies: Dependencies,
  caller: ApiKeyEntry,
  submission: Submission,
  {
    id = newId('job'),
    idempotencyKey,
    traceparent = null,
  }: { id?: string; idempotencyKey?: IdempotencyKey | undefined; traceparent?: string | null } = {},
): Promise<Submitted> {
  const span = dependencies.tracing.begin({
    name: 'submit',
    kind: 'producer',
    parent: traceparent,
    attributes: { 'glyphmill.job.id': id, 'glyphmill.tenant': caller.tenant },
  });
  try {
    const asked = { id, idempotencyKey, traceparent: span.traceparent };
    const submitted = await enqueue(dependencies, caller, submission, asked);
    span.end();
    return submitted;
  } catch (error) {
    span.end({ error: error instanceof Error ? error.name : 'unknown' });
    throw error;
  }
}

async function enqueue(
  dependencies: Dependencies,
  caller: ApiKeyEntry,
  submission: Submission,
  asked: { id: string; idempotencyKey: IdempotencyKey | undefined; traceparent: string | null },
): Promise<Submitted> {
  const { jobs, objects, log } = dependencies;
  const { id, idempotencyKey, traceparent } = asked;
  const deadlineMs = readDeadline(submission.deadline);
  const webhook = await webhookTarget(dependencies, caller.tenant, submission.webhook);
  const places = placesOf(caller);
  if (submission.source.type === 's3') checkSource(dependencies, places, submission.source);
  await checkModel(dependencies, submission);
  const { document, inline } = await place(dependencies, { id, tenant: caller.tenant }, submission.source);
  const task: Task = {
    document,
    inline,
    mode: submission.mode,
    model: submission.model,
    modelVersion: submission.modelVersion ?? null,
    options: submission.options,
    cache: submission.cache,
    webhook,
    priority: submission.priority,
    ttlSeconds: submission.ttlSeconds,
    timeoutSeconds: submission.timeoutSeconds ?? null,
    places,
    metadata: submission.metadata,
    traceparent,
  };
  try {
    return await jobs.submit({ id, tenant: caller.tenant, task, deadlineMs, idempotencyKey });
  } catch (error) {
    // What was uploaded can be submitted again.
    if (isRefusal(error) && submission.source.type === 'inline') {
      objects.remove(document, { signal: AbortSignal.timeout(storeTimeoutMs) }).catch((cause: unknown) => {
        log.warn({ err: cause, key: document.key }, 'a refused document stays in the system bucket');
      });
    }
    throw error;
  }
}

/** In milliseconds since 1970. Throws the Problem of one that has passed. */
export function readDeadline(deadline: string | null | undefined): number | undefined {
  if (deadline === undefined || deadline === null) return undefined;
  const deadlineMs = Date.parse(deadline);
  if (deadlineMs > Date.now()) return deadlineMs;
  const errors = [{ pointer: '/deadline', detail: 'expected a time that is still to come' }];
  throw new Problem('validation-failed', { detail: `/deadline: ${deadline} has passed already.`, errors });
}

/**
 * Throws unknown-model. Workers announce what they serve, and are remembered for a week: that outlives scaling to
 * zero.
 */
export async function checkModel(
  { jobs }: Pick<Dependencies, 'jobs'>,
  { model: name, modelVersion: version }: Pick<Submission, 'model' | 'modelVersion'>,
): Promise<void> {
  const isAny = name === 'default';
  if (isAny && !version) return;
  const recognizers = (await jobs.models()).filter(({ role }) => role === 'recognize');
  const named = recognizers.filter((model) => isAny || model.name === name);
  if (named.some((model) => !version || model.version === version)) return;
  const wanted = version ? `${name} of version ${version}` : name;
  const found = recognizers.map((model) => (version ? `${model.name} ${model.version}` : model.name));
  throw new Problem('unknown-model', {
    detail: `There is no model ${wanted}; there is: ${[...new Set(['default', ...found])].join(', ')}.`,
  });
}

/** Puts an inline document of the job with this id into the system bucket, or finds one that was uploaded there. */
export async function place(
  { config, objects }: Pick<Dependencies, 'config' | 'objects'>,
  { id, tenant }: { id: string; tenant: string },
  source: Source,
): Promise<Pick<Task, 'document' | 'inline'>> {
  if (source.type === 'upload') {
    return await findUpload({ config, objects }, { tenant, uploadId: source.uploadId });
  }
  if (source.type === 's3') {
    const { bucket, key, versionId = null, ifMatch = null } = source;
    return { document: { bucket, key, versionId, ifMatch }, inline: null };
  }
  const document = { bucket: config.s3SystemBucket, key: `inline/${id}`, versionId: null, ifMatch: null };
  const { contentType, bytes } = source;
  await objects.write(document, bytes, { contentType, signal: AbortSignal.timeout(storeTimeoutMs) });
  return { document, inline: { contentType, sizeBytes: bytes.length } };
}
