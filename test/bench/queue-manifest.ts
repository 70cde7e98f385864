import { setTimeout as delay } from 'node:timers/promises';
import { batchSchema } from '@glyphmill/contract/batch';
import type { BenchContext, Measurement } from './bench-measurement.ts';
import { cpuMs } from './process-use.ts';
import { type BenchApi, startBenchApi } from './queue-api.ts';
import { startBenchRedis } from './queue-redis.ts';
import { quantile } from './statistics.ts';

const probeEveryMs = 20;
const endlessly = '10000000';

/** A manifest of as many lines as there may be: how soon it is accepted, its jobs made, and how the API answers meanwhile. */
export async function measureManifest(context: BenchContext): Promise<Measurement> {
  const { quick, note } = context;
  const lines = quick ? 5000 : 100_000;
  const redis = await startBenchRedis(context);
  try {
    const api = await startBenchApi(context, {
      REDIS_URL: redis.url,
      REDIS_SHARD: 'manifest',
      MAX_WAITING_JOBS: endlessly,
      TENANT_MAX_JOBS: endlessly,
    });
    try {
      await putManifest(api, lines);
      const idle = await probe(api, () => delay(1000));
      note(`/livez of the idle API: p99 ${quantile(idle, 0.99).toFixed(1)} ms`);
      const begunMs = performance.now();
      const cpuBefore = cpuMs([api.pid]);
      const redisBefore = await redis.cpuSeconds();
      const accepted = await api.call('POST', '/v1/batches', {
        manifest: { bucket: 'scans', key: 'manifest.jsonl' },
      });
      if (accepted.status !== 202) throw new Error(`expected 202, got ${accepted.status}: ${accepted.body}`);
      const { id } = batchSchema.parse(JSON.parse(accepted.body));
      const busy = await probe(api, () => untilMade(api, id, lines));
      const madeSeconds = (performance.now() - begunMs) / 1000;
      const perJobUs = (seconds: number) => (seconds * 1e6) / lines;
      const found = {
        lines,
        acceptMs: accepted.tookMs,
        madeSeconds,
        jobsPerSecond: lines / madeSeconds,
        apiCpuUsPerJob: perJobUs((cpuMs([api.pid]) - cpuBefore) / 1000),
        redisCpuUsPerJob: perJobUs((await redis.cpuSeconds()) - redisBefore),
        livezMs: { idle: spread(idle), meanwhile: spread(busy) },
      };
      const { p50, p99, most } = found.livezMs.meanwhile;
      return {
        figures: found,
        rows: [
          {
            what: `manifest of ${lines} lines, accepted and made into jobs`,
            figure: `accepted in ${found.acceptMs.toFixed(0)} ms; all jobs in ${madeSeconds.toFixed(1)} s: ${found.jobsPerSecond.toFixed(0)} jobs/s, CPU ${found.apiCpuUsPerJob.toFixed(0)} µs, Redis ${found.redisCpuUsPerJob.toFixed(0)} µs a job`,
          },
          {
            what: '/livez of the API that makes them',
            figure: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, at most ${most.toFixed(0)} ms; idle p99 ${found.livezMs.idle.p99.toFixed(1)} ms`,
          },
        ],
      };
    } finally {
      await api.close();
    }
  } finally {
    await redis.stop();
  }
}

async function putManifest({ objects }: BenchApi, lines: number): Promise<void> {
  const text = Array.from(
    { length: lines },
    (_, index) => `{"source":{"type":"s3","bucket":"scans","key":"2026/11/${index}.png"}}\n`,
  ).join('');
  await objects.ensureBucket('scans');
  await objects.write({ bucket: 'scans', key: 'manifest.jsonl' }, Buffer.from(text), {
    contentType: 'application/jsonl',
    signal: AbortSignal.timeout(60_000),
  });
}

/** How long the API's event loop took to come round to somebody who asks for nothing, while `during` lasts. */
async function probe(api: BenchApi, during: () => Promise<unknown>): Promise<number[]> {
  const tookMs: number[] = [];
  let isOver = false;
  const probing = (async () => {
    while (!isOver) {
      tookMs.push((await api.call('GET', '/livez')).tookMs);
      await delay(probeEveryMs);
    }
  })();
  try {
    await during();
  } finally {
    isOver = true;
    await probing;
  }
  return tookMs;
}

async function untilMade(api: BenchApi, id: string, lines: number): Promise<void> {
  for (;;) {
    const { body } = await api.call('GET', `/v1/batches/${id}`);
    const { status, counts } = batchSchema.parse(JSON.parse(body));
    if (status !== 'ingesting') {
      const jobs = Object.values(counts).reduce((sum, count) => sum + count, 0);
      if (jobs !== lines) throw new Error(`expected ${lines} jobs, got ${body}`);
      return;
    }
    await delay(100);
  }
}

function spread(tookMs: readonly number[]) {
  return { p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99), most: Math.max(...tookMs) };
}
