import type { JobStore } from '@glyphmill/queue/job-store';
import { checkReadiness, type Readiness } from '@glyphmill/service/health';
import type { ObjectStore } from '@glyphmill/storage/object-store';

/** Anybody may ask, so the answer is shared for this long. */
const sharedMs = 1000;

/** Whether Redis and the system bucket can be used. What went wrong is for the log, not for callers. */
export function createReadiness(options: {
  jobs: Pick<JobStore, 'ping'>;
  objects: Pick<ObjectStore, 'checkBucket'>;
  systemBucket: string;
}): () => Promise<Readiness> {
  const { jobs, objects, systemBucket } = options;
  let latest: { askedAtMs: number; answer: Promise<Readiness> } | undefined;
  return () => {
    const nowMs = performance.now();
    if (latest === undefined || nowMs - latest.askedAtMs > sharedMs) {
      const answer = checkReadiness({
        redis: () => check(jobs.ping()),
        storage: () => check(objects.checkBucket(systemBucket)),
      });
      latest = { askedAtMs: nowMs, answer };
    }
    return latest.answer;
  };
}

async function check(answer: Promise<void>) {
  try {
    await answer;
    return { ok: true, detail: 'answers' };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.name : 'failed' };
  }
}
