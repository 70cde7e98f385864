import type { Rejection } from '@glyphmill/contract/batch';
import type { BatchEntry, BatchPlan, BatchSource } from '@glyphmill/contract/batch-plan';
import { type BatchWebhook, batchLimits, type LooseBatch } from '@glyphmill/contract/batch-request';
import { jobEventTypeSchema } from '@glyphmill/contract/event-type';
import { JobFailure } from '@glyphmill/contract/failure';
import type { Task } from '@glyphmill/contract/message';
import type { BatchReceiver } from '@glyphmill/queue/batch-event';
import { batchJobId } from '@glyphmill/queue/batch-job-id';
import type { IdempotencyKey } from '@glyphmill/queue/idempotency';
import type { ApiKeyEntry } from '@glyphmill/service/api-key';
import { checkItem, reject } from './batch-entry.ts';
import type { Dependencies } from './dependencies.ts';
import { Problem } from './problem.ts';
import { checkSource, placesOf } from './source-access.ts';
import { checkModel, decodeSource, place, readDeadline } from './submit.ts';
import { webhookTarget } from './webhook-target.ts';

/** Time for a look at the manifest or the prefix. */
const lookTimeoutMs = 10_000;
/** Inline documents stored side by side. */
const storedAtOnce = 8;

/**
 * Checks what holds for the whole batch, and each of its items alone, stores inline documents, and writes the batch
 * down: it is durable when this resolves. Throws Problem, IdempotencyConflict,
 * QueueUnavailable, what `isRefusal` names, or a JobFailure of the store.
 */
export async function submitBatch(
  dependencies: Dependencies,
  caller: ApiKeyEntry,
  request: LooseBatch,
  {
    id,
    idempotencyKey,
    traceparent,
  }: { id: string; idempotencyKey: IdempotencyKey | undefined; traceparent: string | null },
): Promise<void> {
  const deadlineMs = readDeadline(request.deadline) ?? null;
  const target = await findTarget(dependencies, caller.tenant, request.webhook);
  await checkModel(dependencies, request);
  const places = placesOf(caller);
  const source = await findSource(dependencies, request, places);
  const { mode, model, modelVersion = null, options, cache, priority, metadata } = request;
  const { ttlSeconds, timeoutSeconds = null } = request;
  const reading = { mode, model, modelVersion, options, cache, places };
  const life = { priority, ttlSeconds, timeoutSeconds, metadata, traceparent };
  const task = { ...reading, webhook: target.ofJobs, ...life };
  const plan: BatchPlan = { source, task, deadlineMs };
  const { entries, rejected } = await takeItems(dependencies, {
    id,
    tenant: caller.tenant,
    plan,
    items: request.items ?? [],
  });
  await dependencies.jobs.batches.create({
    id,
    tenant: caller.tenant,
    plan,
    entries,
    rejected,
    receiver: target.ofBatch,
    idempotencyKey,
  });
}

/** Whom the batch tells of its completion, and each of its jobs of its end. */
async function findTarget(
  dependencies: Dependencies,
  tenant: string,
  webhook: BatchWebhook | undefined,
): Promise<{ ofJobs: Task['webhook']; ofBatch: BatchReceiver | null }> {
  if (webhook === undefined) return { ofJobs: null, ofBatch: { url: null, endpointIds: null } };
  const { events, ...receiver } = webhook;
  const found = await webhookTarget(dependencies, tenant, receiver);
  const jobEvents = events.flatMap((event) => jobEventTypeSchema.safeParse(event).data ?? []);
  const named = {
    url: found !== null && 'url' in found ? found.url : null,
    endpointIds: found !== null && 'endpointIds' in found ? found.endpointIds : null,
  };
  return {
    ofJobs: found && { ...found, events: jobEvents },
    ofBatch: events.includes('batch.completed') ? named : null,
  };
}

async function findSource(
  dependencies: Dependencies,
  { items, manifest, prefix }: LooseBatch,
  places: Task['places'],
): Promise<BatchSource> {
  const { objects } = dependencies;
  const signal = AbortSignal.timeout(lookTimeoutMs);
  if (manifest !== undefined) {
    const { bucket, key, versionId = null } = manifest;
    checkSource(dependencies, places, { bucket, key });
    const found = await lookAt('/manifest', objects.head({ bucket, key, versionId }, { signal }));
    if (found.sizeBytes > batchLimits.manifestBytes) {
      const detail = `the manifest has ${found.sizeBytes} bytes, and at most ${batchLimits.manifestBytes} are read`;
      throw notUsable('/manifest', detail);
    }
    return {
      type: 'manifest',
      bucket,
      key,
      versionId,
      ifMatch: found.etag,
      sizeBytes: found.sizeBytes,
    };
  }
  if (prefix !== undefined) {
    const { bucket, glob = null } = prefix;
    checkSource(dependencies, places, { bucket, key: prefix.prefix });
    await lookAt('/prefix', objects.list({ bucket, prefix: prefix.prefix, after: '' }, { signal }));
    return { type: 'prefix', bucket, prefix: prefix.prefix, glob };
  }
  return { type: 'items', count: items?.length ?? 0 };
}

/** What is not there now is the caller's mistake; what cannot be reached may be there later. */
async function lookAt<T>(pointer: string, look: Promise<T>): Promise<T> {
  try {
    return await look;
  } catch (error) {
    if (!(error instanceof JobFailure) || error.failure.retryable) throw error;
    throw notUsable(pointer, error.failure.message);
  }
}

function notUsable(pointer: string, detail: string): Problem {
  return new Problem('validation-failed', {
    detail: `${pointer}: ${detail}`,
    errors: [{ pointer, detail }],
  });
}

async function takeItems(
  dependencies: Dependencies,
  { id, tenant, plan, items }: { id: string; tenant: string; plan: BatchPlan; items: readonly unknown[] },
): Promise<{ entries: BatchEntry[]; rejected: Rejection[] }> {
  const entries: BatchEntry[] = [];
  const rejected: Rejection[] = [];
  const systemBucket = dependencies.config.s3SystemBucket;
  let storing: Promise<void>[] = [];
  for (const [index, value] of items.entries()) {
    const checked = checkItem(value, index, { plan, systemBucket });
    if (checked.kind === 'rejected') {
      rejected.push(checked.rejection);
      continue;
    }
    const { source, options, metadata } = checked.item;
    const store = async () => {
      try {
        const ids = { id: batchJobId(id, index), tenant };
        const placed = await place(dependencies, ids, decodeSource(source));
        entries.push({ index, ...placed, options, metadata });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        rejected.push(reject(index, { code: 'validation-failed', detail: error.message }).rejection);
      }
    };
    storing.push(store());
    if (storing.length < storedAtOnce) continue;
    await Promise.all(storing);
    storing = [];
  }
  await Promise.all(storing);
  const byPlace = (a: { index: number }, b: { index: number }) => a.index - b.index;
  return { entries: entries.sort(byPlace), rejected: rejected.sort(byPlace) };
}
