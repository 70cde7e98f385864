import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Figures } from './recognizer-load.ts';

/** What nvidia-smi saw of the first GPU while a load was measured. */
export interface GpuUse {
  /** Percent of the time in which some kernel ran; mean. */
  busyPercent: number;
  /** MiB, of all processes. */
  mostMemoryMib: number;
}

export interface GpuSample {
  /** Of performance.now(). */
  atMs: number;
  busyPercent: number;
  memoryMib: number;
}

/** nvidia-smi's own figure is of the last sixth of a second to a second; asking more often says no more. */
const sampleMs = 400;
const answerDeadlineMs = 5000;

/** Runs a load and samples the GPU meanwhile; no use where nvidia-smi is not there. */
export async function watchGpu(
  load: () => Promise<Figures>,
): Promise<{ figures: Figures; use: GpuUse | undefined }> {
  const stop = new AbortController();
  const samples: GpuSample[] = [];
  const watching = watch(samples, stop.signal);
  try {
    const figures = await load();
    return { figures, use: useWhile(samples, figures) };
  } finally {
    stop.abort();
    await watching;
  }
}

async function watch(samples: GpuSample[], signal: AbortSignal): Promise<void> {
  const query = ['--query-gpu=utilization.gpu,memory.used', '--format=csv,noheader,nounits', '-i', '0'];
  while (!signal.aborted) {
    const [, busy, memory] = /^\s*(\d+), (\d+)/.exec((await nvidiaSmi(query)) ?? '') ?? [];
    if (busy === undefined) return;
    samples.push({ atMs: performance.now(), busyPercent: Number(busy), memoryMib: Number(memory) });
    // Rejects where it is over, which the loop sees.
    await delay(sampleMs, undefined, { signal }).catch(() => {});
  }
}

/** What nvidia-smi prints; undefined where it is not there or fails. */
export async function nvidiaSmi(args: readonly string[]): Promise<string | undefined> {
  const options = { timeout: answerDeadlineMs };
  return promisify(execFile)('nvidia-smi', args, options).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
}

/** Of the samples between the start and the end of what was measured: loading and warming up do not count. */
export function useWhile(
  samples: readonly GpuSample[],
  { startMs, endMs }: Pick<Figures, 'startMs' | 'endMs'>,
): GpuUse | undefined {
  const inside = samples.filter(({ atMs }) => atMs >= startMs && atMs <= endMs);
  if (inside.length === 0) return undefined;
  return {
    busyPercent: inside.reduce((sum, { busyPercent }) => sum + busyPercent, 0) / inside.length,
    mostMemoryMib: Math.max(...inside.map(({ memoryMib }) => memoryMib)),
  };
}
