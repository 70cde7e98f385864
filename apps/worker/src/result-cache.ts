import { createHash } from 'node:crypto';
import type { CacheOutcome } from '@glyphmill/contract/job';
import type { Task } from '@glyphmill/contract/message';
import { type Result, resultSchema, type ServedModel } from '@glyphmill/contract/result';
import { Budget } from '@glyphmill/engine/budget';
import { serviceVersion } from '@glyphmill/engine/engine';
import type { Attempt, KeptResult, Read } from '@glyphmill/queue/attempt';
import type { CachedResults } from '@glyphmill/queue/result-cache';
import type { ObjectStore, ObjectVersion } from '@glyphmill/storage/object-store';

export interface ResultCacheOptions {
  results: CachedResults;
  store: ObjectStore;
  /** What this worker serves now. */
  models: () => readonly (ServedModel & { default: boolean })[];
  onOutcome: (outcome: CacheOutcome) => void;
  onWarning: (message: string, facts: { error: unknown; jobId: string }) => void;
}

/** Gives a job the result of an earlier one that read the same, so that nothing has to be fetched or read. */
export interface ResultCache {
  /**
   * Hands the earlier result to `use`, and answers what that does; undefined when there is none to be had: then the
   * document is to be read. Whatever goes wrong on the way to the result only means that there is none.
   */
  take<T>(
    attempt: Attempt,
    signal: AbortSignal,
    use: (result: Result, fetchMs: number) => Promise<T>,
  ): Promise<T | undefined>;
  /** What a commit needs, for later jobs to find what this one has read. */
  note(task: Task, object: ObjectVersion, result: Result): Pick<Read, 'cache' | 'cacheEntry'>;
}

/** Results larger than this are read anew: one is held as text and as objects, twice each, while it is renamed. */
const maxResultBytes = 32_000_000;
const largeAtOnce = 2;
/** A look-up that takes longer is no gain any more. */
const lookUpTimeoutMs = 10_000;

export function createResultCache(options: ResultCacheOptions): ResultCache {
  const { results, store, models, onOutcome, onWarning } = options;
  const large = new Budget(largeAtOnce);

  /** The models that a document of this task is read by now. */
  function readersOf({ mode, modelVersion }: Task): ServedModel[] {
    return models().filter(({ role, version, default: isDefault }) =>
      role === 'recognize' && modelVersion !== null
        ? version === modelVersion
        : isDefault && (role === 'recognize' || mode === 'document'),
    );
  }

  async function find({ tenant, task }: Attempt, signal: AbortSignal): Promise<KeptResult | undefined> {
    const entry = await results.find(tenant, digestOf(task, readersOf(task)));
    if (entry === undefined) return undefined;
    // Tells also whether the object is there, may be read, and has the ETag that the submitter named.
    const object = await store.head(task.document, { signal });
    return versionOf(object) === entry.version ? await results.result(tenant, entry.jobId) : undefined;
  }

  async function load(kept: KeptResult, signal: AbortSignal): Promise<Result> {
    if (kept.kind === 'inline') return resultSchema.parse(JSON.parse(kept.json));
    const { bytes } = await store.read(kept, { maxBytes: maxResultBytes, signal });
    return resultSchema.parse(JSON.parse(bytes.toString('utf8')));
  }

  return {
    async take(attempt, signal, use) {
      if (!isCached(attempt.task) || attempt.task.cache !== 'use') return undefined;
      const begunMs = performance.now();
      const limited = AbortSignal.any([signal, AbortSignal.timeout(lookUpTimeoutMs)]);
      let leave = () => {};
      try {
        const result = await find(attempt, limited)
          .then(async (kept) => {
            if (kept?.kind === 'object') leave = await large.take(1, limited);
            return kept && (await load(kept, limited));
          })
          .catch((error: unknown) => {
            const { jobId } = attempt;
            onWarning('an earlier result could not be had; the document is read anew', { error, jobId });
            return undefined;
          });
        signal.throwIfAborted();
        if (result === undefined) return undefined;
        onOutcome('hit');
        return await use(result, Math.round(performance.now() - begunMs));
      } finally {
        leave();
      }
    },
    note(task, object, result) {
      const cache = isCached(task) ? 'miss' : 'bypass';
      onOutcome(cache);
      if (cache === 'bypass') return { cache };
      const now = readersOf(task);
      // A version of a model may have come or gone while the document was read.
      const areServed = result.engine.models.every((model) => now.some((other) => isSame(model, other)));
      if (!areServed || object.etag === null) return { cache };
      return { cache, cacheEntry: { digest: digestOf(task, now), version: versionOf(object) } };
    },
  };
}

/** A document that came with its request is ours to delete once it is read, and seldom comes again. */
function isCached({ cache, inline }: Task): boolean {
  return cache !== 'bypass' && inline === null;
}

/** Of all that decides what is read of a key, but for the object's own state: that is asked for only on a match. */
function digestOf({ document, mode, options }: Task, readers: readonly ServedModel[]): string {
  const { bucket, key, versionId } = document;
  const read = readers
    .map(({ role, name, version, sha256 }) => [role, name, version, sha256].join('\n'))
    .sort();
  const asked = Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = [serviceVersion, bucket, key, versionId, mode, asked, read];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

/** The version's id alone will not do: in a bucket that keeps none it is "null" or absent for every state. */
function versionOf({ etag, versionId, sizeBytes }: ObjectVersion): string {
  return JSON.stringify([etag, versionId, sizeBytes]);
}

function isSame(a: ServedModel, b: ServedModel): boolean {
  return a.role === b.role && a.name === b.name && a.version === b.version && a.sha256 === b.sha256;
}
